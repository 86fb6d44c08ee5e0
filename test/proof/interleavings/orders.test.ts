import { expect, test } from "vitest";
import { randomFrom } from "../../support/random.ts";
import { chooseOrders, countOrders } from "./orders.ts";

test("all orders are run if they are few: each once, and each keeps a session's own steps apart from no other's", () => {
  const steps = { one: 2, two: 1, three: 3 };
  const orders = chooseOrders(steps, 100, randomFrom(1));
  expect(countOrders(steps)).toBe(60);
  expect(new Set(orders.map((order) => order.join())).size).toBe(60);
  for (const order of orders) expect(order.toSorted()).toEqual(["one", "one", "three", "three", "three", "two"]);
});

test("of very many orders different ones are drawn, the same for the same seed", () => {
  const steps = { one: 4, two: 4, three: 4, four: 4 };
  expect(countOrders(steps)).toBe(63_063_000);
  const orders = chooseOrders(steps, 1_000, randomFrom(7));
  expect(new Set(orders.map((order) => order.join())).size).toBe(1_000);
  expect(chooseOrders(steps, 1_000, randomFrom(7))).toEqual(orders);
  expect(chooseOrders(steps, 1_000, randomFrom(8))).not.toEqual(orders);
});
