export { startShop, type Shop } from "./start-shop.ts";
