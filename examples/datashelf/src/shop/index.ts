export { startShop, type Shop } from "./start-shop.ts";
export type { ShopFacts, ShopPage } from "./shop-facts.ts";
export type { LoggedRequest, RequestLog } from "./request-log.ts";
