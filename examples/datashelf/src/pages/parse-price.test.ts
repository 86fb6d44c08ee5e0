import { expect, test } from "vitest";
import { parsePrice } from "./parse-price.ts";

test.each([
  ["£12.99", 1299, "GBP"],
  ["12,99 €", 1299, "EUR"],
  ["Price: £ 5", 500, "GBP"],
  ["£.99", 99, "GBP"],
  ["£12.5", 1250, "GBP"],
  ["$1,299", 129_900, "USD"],
  ["EUR 1.299,00", 129_900, "EUR"],
  ["1 299,00 €", 129_900, "EUR"],
  ["1\u00a0299 €", 129_900, "EUR"],
  ["CHF 1'299.50", 129_950, "CHF"],
  ["¥1,200", 1200, "JPY"],
  ["£12.99 2 for 1", 1299, "GBP"],
  ["£0.00", 0, "GBP"],
])("%s", (text, priceMinor, currency) => {
  expect(parsePrice(text)).toEqual({ priceMinor, currency });
});

test.each(["", "Price on request", "£", "12.99", "free", "¥1.5"])("%s is not a price", (text) => {
  expect(parsePrice(text)).toBeNull();
});

test("a known currency replaces a missing one, if it is valid", () => {
  expect(parsePrice("12.99", "GBP")).toEqual({ priceMinor: 1299, currency: "GBP" });
  expect(parsePrice("12.99", "pounds")).toBeNull();
});
