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
  ['{"secrets":{"a":{"b":"}"},"c":"s3cret"},"n":1}', '{"secrets":***,"n":1}'],
  ["alter role app password E's3cret'", "alter role app password E'***'"],
  ["alter role app password $a$s3cret$a$;", "alter role app password ***;"],
  ["create user app identified by 's3cret'", "create user app identified by '***'"],
  ["private_key: s3cret", "private_key: ***"],
  ["password -> s3cret", "password -> ***"],
  ["password: |\n  s3cret\n  s3cret\nport: 1", "password: ***\nport: 1"],
  ["<db><password>s3cret</password><port>1</port></db>", "<db><password>***</password><port>1</port></db>"],
  ['name="password"\r\n\r\ns3cret\r\n--x', 'name="password"\r\n\r\n***\r\n--x'],
  // What was encoded for a URL, or is only known by how it begins.
  ["next=https%3A%2F%2Fx%2F%3Ftoken%3Ds3cret%26a%3D1", "next=https%3A%2F%2Fx%2F%3Ftoken%3D***%26a%3D1"],
  ["next=%2Fcb%3Fcode%3Ds3cret", "next=%2Fcb%3Fcode%3D***"],
  ["curl -u app:s3cret http://host", "curl -u app:*** http://host"],
  ["ocp-apim-subscription-key: s3cret", "ocp-apim-subscription-key: ***"],
  ["x-functions-key: s3cret", "x-functions-key: ***"],
  ["PHPSESSID=s3cret", "PHPSESSID=***"],
  ["connect.sid=s3cret", "connect.sid=***"],
  ["Passwort: s3cret", "Passwort: ***"],
  ["remote said ghp_0123456789s3cret0123456789", "remote said ghp_***"],
  ["github_pat_0123456789_s3cret0123456789 is bad", "github_pat_*** is bad"],
  ["glpat-0123456789s3cret", "glpat-***"],
  ["xoxb-123456789012-s3cret", "xoxb-***"],
  ["sk_live_0123456789s3cret", "sk_live_***"],
  ["key sk-proj-0123456789-s3cret", "key sk-***"],
  ["npm_0123456789s3cret0123456789abcdef", "npm_***"],
  ["AKIA0123456789s3cret", "AKIA***"],
  ["https://hooks.slack.com/services/T0/B0/s3cret", "https://hooks.slack.com/services/***"],
  ["https://api.telegram.org/bot12:s3cret/send", "https://api.telegram.org/bot***"],
  [
    "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\nx",
    "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\nx",
  ],
  [String.raw`-----BEGIN RSA PRIVATE KEY-----\ns3cret`, "-----BEGIN RSA PRIVATE KEY-----***-----END PRIVATE KEY-----"],
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
  "npm_config_user_agent and npm_lifecycle_event are set",
  "task-queue-with-a-long-name, disk-usage-of-the-worker, sk-learn-like-names",
  "took $5 for the password reset",
  "<keyboard>qwerty</keyboard>, queue%3Demail",
])("what is no secret stays: %s", (text) => {
  expect(maskSecrets(text)).toBe(text);
});

test("the time grows with the text, whatever it is made of", () => {
  const parts = ["=", "a:", "//a@", 'password="', String.raw`\"password\":\"`, "&key=", "<password>", "password '"];
  const others = [
    "-----BEGIN PRIVATE KEY-----",
    "token%3D",
    "password={",
    "secret[",
    "password $a$",
    "identified by '",
    "\n\n",
  ];
  const timeOf = (text: string) => {
    const before = process.threadCpuUsage(); // time on the clock would include other processes
    maskSecrets(text);
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  };
  for (const part of [...parts, ...others]) {
    const repeated = (characters: number) => part.repeat(characters / part.length);
    timeOf(repeated(20_000));
    const [short, long] = [repeated(20_000), repeated(80_000)].map((text) =>
      Math.min(...[1, 2, 3, 4, 5].map(() => timeOf(text))),
    );
    expect(long!, part).toBeLessThan(8 * short! + 20);
  }
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
