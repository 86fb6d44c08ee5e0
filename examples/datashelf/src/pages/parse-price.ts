export interface Price {
  /** In the currency's smallest unit: pence, cents, whole yen. */
  priceMinor: number;
  /** ISO 4217. */
  currency: string;
}

const currencyOfSign: Record<string, string> = { "£": "GBP", "€": "EUR", $: "USD", "¥": "JPY" };

/**
 * Digits, with thousands in groups of three, then at most two decimals: "£12.99 2 for 1" contains
 * only 12.99.
 */
const amountPattern = /[.,]?\d+(?:[.,' \u00a0\u202f]\d{3}(?!\d))*(?:[.,]\d{1,2}(?!\d))?/;

/**
 * Reads a price as shops write it: `£12.99`, `12,99 €`, `EUR 1.299,00`, `$1,299`, `¥1200`. Returns
 * null if there is no amount or no currency. The last separator is the decimal one if it is
 * followed by as many digits as the currency has.
 */
export function parsePrice(text: string, knownCurrency?: string): Price | null {
  const sign = /[£€$¥]/.exec(text)?.[0];
  const currency =
    (sign && currencyOfSign[sign]) ?? /\b(GBP|EUR|USD|JPY|CHF|SEK|PLN)\b/.exec(text)?.[0] ?? knownCurrency;
  const amount = amountPattern.exec(text)?.[0].replaceAll(/[' \u00a0\u202f]/g, "");
  if (!currency || !amount || !/^[A-Z]{3}$/.test(currency)) return null;

  const fraction = fractionDigits(currency);
  const [, whole = amount, cents = ""] = new RegExp(`^(.*)[.,](\\d{1,${Math.max(fraction, 1)}})$`).exec(amount) ?? [];
  if (fraction === 0 && cents !== "") return null;
  const priceMinor = Number(whole.replaceAll(/[.,]/g, "") + cents.padEnd(fraction, "0"));
  return Number.isSafeInteger(priceMinor) ? { priceMinor, currency } : null;
}

/** Decimal digits of a currency: two for pounds, none for yen. */
function fractionDigits(currency: string): number {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}
