import pg from "pg";
import { createProducer } from "pg-hark";
import { sendWelcome } from "./jobs.ts";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const producer = createProducer({ pool });
await pool.query("create table if not exists users (email text primary key)");

const client = await pool.connect();
await client.query("begin");
await client.query("insert into users values ($1) on conflict do nothing", ["ada@example.com"]);
const job = await producer.in(client).enqueue(sendWelcome, { email: "ada@example.com" });
await client.query("commit"); // with a rollback there is no user, no job and no wake-up
client.release();

console.log(`job ${job.id} ${job.status}`);
await pool.end();
