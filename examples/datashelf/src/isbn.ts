/** Returns the last digit of the ISBN-13 that begins with these twelve digits. */
export function isbnCheckDigit(twelveDigits: string): string {
  const sum = Array.from(twelveDigits, Number).reduce((total, digit, at) => total + digit * (at % 2 === 0 ? 1 : 3), 0);
  return String((10 - (sum % 10)) % 10);
}

/**
 * Returns the thirteen digits of an ISBN-13 without hyphens and spaces, or null if the text is not
 * one.
 */
export function parseIsbn(text: string): string | null {
  const digits = text.replaceAll(/[\s\u2010-\u2015-]/g, "");
  if (!/^97[89]\d{10}$/.test(digits)) return null;
  return digits.endsWith(isbnCheckDigit(digits.slice(0, 12))) ? digits : null;
}
