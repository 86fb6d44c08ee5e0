import { describe, expect, test } from "vitest";
import { isSecretName, maskSecrets, maskUrl } from "./mask.ts";

/*
 * SEC-25: the one table of texts with secrets. Every secret in it is spelled "s3cret", with what
 * may make a reader lose its place.
 */

const hides: [text: string, shown: string][] = [
  // Passwords of URLs, with what a URL would have to escape.
  ["postgres://user:s3cret@host/db", "postgres://user:***@host/db"],
  ["postgres://user:a/s3cret@host/db", "postgres://user:***@host/db"],
  ["postgres://user:12/s3cret@host/db", "postgres://user:***@host/db"],
  ["postgres://user:a@s3cret@host/db", "postgres://user:***@host/db"],
  ["postgres://user:a#s3cret@host/db", "postgres://user:***@host/db"],
  ["postgres://user:a?s3cret@host/db", "postgres://user:***@host/db"],
  ["postgres://user:%23s3cret%@host/db", "postgres://user:***@host/db"],
  ["postgres://user:a:s3cret@host:5432/db", "postgres://user:***@host:5432/db"],
  [`postgres://user:a"s3cret'@host/db`, "postgres://user:***@host/db"],
  ["redis://:s3cret@host:6379", "redis://:***@host:6379"],
  ["PostgreSQL+TLS://User:s3cret@host", "PostgreSQL+TLS://User:***@host"],
  ["jdbc:postgresql://user:s3cret@host/db", "jdbc:postgresql://user:***@host/db"],
  ["https://s3cret@host/path", "https://***@host/path"],
  ["cannot reach postgres://user:s3cret/@host/db now", "cannot reach postgres://user:***@host/db now"],
  // Queries.
  ["GET /orders?token=s3cret&page=2", "GET /orders?token=***&page=2"],
  ["https://api.example/v1?a=1&API_KEY=s3cret", "https://api.example/v1?a=1&API_KEY=***"],
  ["https://maps.example/?key=s3cret&q=x", "https://maps.example/?key=***&q=x"],
  ["https://x.example/?X-Amz-Signature=s3cret&X-Amz-Date=1", "https://x.example/?X-Amz-Signature=***&X-Amz-Date=1"],
  ["https://blob.example/f?sig=s3cret%3D&se=1", "https://blob.example/f?sig=***&se=1"],
  ["https://x.example/?client_secret=s3cret", "https://x.example/?client_secret=***"],
  ["https://x.example/cb?code=s3cret&state=1", "https://x.example/cb?code=***&state=1"],
  ["postgres://host/db?password=a/s3cret&sslmode=require", "postgres://host/db?password=***&sslmode=require"],
  ["https://x.example/#access_token=s3cret", "https://x.example/#access_token=***"],
  // Headers.
  ["Authorization: Bearer s3cret", "Authorization: ***"],
  ["authorization:Basic dXM6s3cret==", "authorization:***"],
  ["PROXY-AUTHORIZATION: Digest username=x, response=s3cret", "PROXY-AUTHORIZATION: ***"],
  ["Cookie: a=b; session=s3cret", "Cookie: ***"],
  ["set-cookie: id=s3cret; HttpOnly\r\nhost: x", "set-cookie: ***\r\nhost: x"],
  ["x-api-key: s3cret", "x-api-key: ***"],
  ["curl -H 'Authorization: Bearer s3cret' http://host", "curl -H 'Authorization: ***' http://host"],
  ["sent Bearer s3cret to the host", "sent Bearer *** to the host"],
  ["got bearer topsecrets3cret.", "got bearer ***"],
  ["sent Basic dXNlcjpzM2NyZXQ=", "sent Basic ***"],
  ["the JWT eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s3cret-x_y was refused", "the JWT *** was refused"],
  // Connection strings of keywords.
  ["host=db user=app password=s3cret dbname=x", "host=db user=app password=*** dbname=x"],
  ["host=db PASSWORD = 'a s3cret' dbname=x", "host=db PASSWORD = '***' dbname=x"],
  [String.raw`password='it\'s s3cret' host=db`, "password='***' host=db"],
  ["password='it''s s3cret' host=db", "password='***' host=db"],
  [String.raw`password=a\ s3cret host=db`, "password=*** host=db"],
  ["password=a;s3cret&s3cret,s3cret host=db", "password=*** host=db"],
  ["Server=db;Pwd=s3cret", "Server=db;Pwd=***"],
  ["PGPASSWORD=s3cret psql", "PGPASSWORD=*** psql"],
  ["DB_PASS=s3cret", "DB_PASS=***"],
  ["run --password s3cret --port 1", "run --password *** --port 1"],
  // Objects as text, and SQL.
  ['{"password":"s3cret","port":1}', '{"password":"***","port":1}'],
  ['{"user":{"Password" : "a\\"s3cret"},"n":1}', '{"user":{"Password" : "***"},"n":1}'],
  [String.raw`{\"apiKey\":\"s3cret\",\"n\":1}`, String.raw`{\"apiKey\":\"***\",\"n\":1}`],
  ["{ accessToken: 's3cret', n: 1 }", "{ accessToken: '***', n: 1 }"],
  ["Map(1) { 'x-auth-token' => 's3cret' }", "Map(1) { 'x-auth-token' => '***' }"],
  ['{"tokens":["s3cret","s3cret"],"n":1}', '{"tokens":***,"n":1}'],
  ['{"password":"s3cret', '{"password":"***'],
  ["alter role app password 's3cret'", "alter role app password '***'"],
  ["private_key: s3cret", "private_key: ***"],
  ["passphrase=s3cret", "passphrase=***"],
];

test.for(hides)("%s", ([text, shown]) => {
  expect(maskSecrets(text)).toBe(shown);
  expect(maskSecrets(shown), "masked twice").toBe(shown);
  expect(maskSecrets(`before ${text}`)).not.toContain("s3cret");
});

test.for([
  "job 42 (email.welcome, attempt 1 of 3) outlived its lease",
  "key https://shop.example/item/1 is taken: uniqueKey=a",
  "https://shop.example:8080/item?page=2&sort=key",
  "postgres://user@host/db",
  "https://unpkg.com/react@18/index.js",
  'password authentication failed for user "app"',
  "token: must be visible ASCII without spaces, and not empty",
  "Send the server's token as Authorization: Bearer <token>.",
  "give only one of token, tokens and authorize",
  "a basic example of bearer tokens",
  `Unexpected token 'a', "abc" is not valid JSON`,
  "author: somebody, compass: north, tokenizer: fast, secretary=me",
  "at run (file:///app/node_modules/@hark/core/dist/index.js:1:2)",
  "12:30:05 started, 3 of 4 done",
])("what is no secret stays: %s", (text) => {
  expect(maskSecrets(text)).toBe(text);
});

test("names of secrets are known in any case and spelling", () => {
  for (const name of [
    "password",
    "PassWord",
    "DB_PASSWORD",
    "x-api-key",
    "apiKey",
    "clientSecret",
    "Set-Cookie",
    "PGPASS",
  ])
    expect([name, isSecretName(name)]).toEqual([name, true]);
  for (const name of ["key", "uniqueKey", "url", "queue", "jobId", "author", "passed"])
    expect([name, isSecretName(name)]).toEqual([name, false]);
});

describe("a setting that is a URL", () => {
  test.for([
    ["postgres://u:s3cret@h/db?sslkey=s3cret&sslmode=require", "postgres://u:***@h/db?sslkey=***&sslmode=require"],
    ["postgres://u:a/s3cret@h/db#s3cret", "postgres://u:***@h/db"],
    ["postgres://u:a#s3cret@h/db?PASSWORD=s3cret", "postgres://u:***@h/db?PASSWORD=***"],
    ["host=h password=s3cret", "***"],
  ])("%s", ([text, shown]) => {
    expect(maskUrl(text!)).toBe(shown);
  });
});
