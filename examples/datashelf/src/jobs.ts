import { defineUrlJob } from "pg-hark";
import { z } from "zod";

/** Pages of a shop: the home page names categories, which list books over several pages. */
export const navigation = defineUrlJob("navigation", { queue: "datashelf", priority: 20, timeout: "1m" });
export const category = defineUrlJob("category", { queue: "datashelf", priority: 10, timeout: "1m" });
export const product = defineUrlJob("product", { queue: "datashelf", timeout: "1m" });
/** A page of any site, of which only the links matter. */
export const page = defineUrlJob("page", { queue: "datashelf", timeout: "1m" });

export const jobByKind = { navigation, category, product, page };

/** The fields that DataShelf adds to a job's metadata: the crawl that the page belongs to. */
export const crawlMetadata = z.object({ crawl_id: z.number().int().positive() });
