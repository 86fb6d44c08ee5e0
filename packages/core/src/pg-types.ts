/*
 * How Hark reads the columns of its statements. pg's parsers are one table for the whole process,
 * and applications change it: JSON as text, dates of another library, numbers as decimals. These
 * are ours alone, and travel with each statement, also over pools and clients of the application.
 */

import { types } from "pg";

/**
 * What pg has, unlike its declarations: the parts of an array literal, each given to a function.
 */
const arrayParser = types.arrayParser as unknown as {
  create(text: string, parse: (element: string | null) => unknown): { parse(): unknown[] };
};

const json = (text: string) => JSON.parse(text) as unknown;

/** Reads an array, element by element. NULL stays null. */
const arrayOf =
  (parse: (text: string) => unknown) =>
  (text: string): unknown =>
    arrayParser.create(text, (element) => (element === null ? null : parse(element))).parse();

const asText = (text: string) => text;

/**
 * A moment as PostgreSQL writes it under DateStyle ISO, which our own sessions ask for. Anything
 * else stays text, rather than become a wrong date.
 */
function moment(text: string): unknown {
  const [, day, time, zone] = /^(\d{4}-\d\d-\d\d) ([\d:.]+)([+-]\d\d(?::\d\d)?)$/.exec(text) ?? [];
  return day === undefined ? text : new Date(`${day}T${time}${zone}${zone!.length === 3 ? ":00" : ""}`);
}

/** By the number of the type in PostgreSQL's catalogue. */
const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === "t", // bool
  20: BigInt, // int8: ids go beyond 2^53 (FM-38)
  21: Number, // int2
  23: Number, // int4
  26: Number, // oid
  700: Number, // float4
  701: Number, // float8
  114: json,
  3802: json, // jsonb
  199: arrayOf(json),
  3807: arrayOf(json), // jsonb[]
  1184: moment, // timestamptz
  1007: arrayOf(Number), // int4[]
  1009: arrayOf(asText), // text[]
  1016: arrayOf(BigInt), // int8[]
  2951: arrayOf(asText), // uuid[]
};

/** For `types` of pg's pools, clients and single statements. Any other type is read as text. */
export const pgTypes = {
  getTypeParser: (type: number): any => parsers[type] ?? asText,
};
