import { describe, expect, test } from "vitest";
import { Conversation } from "./wire.ts";

const typed = (type: string, body = "") => {
  const message = Buffer.alloc(5 + Buffer.byteLength(body));
  message.write(type, 0, "latin1");
  message.writeUInt32BE(4 + Buffer.byteLength(body), 1);
  message.write(body, 5);
  return message;
};
const startup = (...words: string[]) => {
  const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from(`${words.join("\0")}\0\0`)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(4 + body.length);
  return Buffer.concat([length, body]);
};
const ready = (status: string) => typed("Z", status);

function begun(): Conversation {
  const conversation = new Conversation();
  conversation.clientSays(startup("user", "ada", "application_name", "hark listener", "database", "books"));
  conversation.serverSays(ready("I"));
  return conversation;
}

test("a client's name is read from its first message", () => {
  expect(begun().applicationName).toBe("hark listener");
});

test("messages are found however the bytes are split", () => {
  const conversation = new Conversation();
  const bytes = Buffer.concat([startup("application_name", "x"), typed("Q", "select 1\0"), typed("Q", "commit\0")]);
  const commits = [...bytes].map((byte) => conversation.clientSays(Buffer.from([byte])));
  expect(conversation.applicationName).toBe("x");
  expect(commits.flatMap((does, place) => (does ? [place] : []))).toEqual([
    bytes.length - typed("Q", "commit\0").length - 1, // outside a transaction a query commits by itself
    bytes.length - 1,
  ]);
});

test("the end of a body longer than the kept bytes is found", () => {
  const conversation = begun();
  expect(conversation.clientSays(typed("P", "x".repeat(5_000)))).toBe(false);
  expect(conversation.clientSays(Buffer.concat([typed("E"), typed("S")]))).toBe(true);
});

describe("what commits", () => {
  test("a statement with parameters outside a transaction", () => {
    const conversation = begun();
    expect(conversation.clientSays(Buffer.concat([typed("P", "insert"), typed("B"), typed("D"), typed("E")]))).toBe(
      false,
    );
    expect(conversation.clientSays(typed("S"))).toBe(true);
  });

  test("inside a transaction only COMMIT", () => {
    const conversation = begun();
    expect(conversation.clientSays(typed("Q", "begin\0"))).toBe(false);
    conversation.serverSays(ready("T"));
    expect(conversation.clientSays(Buffer.concat([typed("B"), typed("E"), typed("S")]))).toBe(false);
    expect(conversation.clientSays(typed("Q", "insert into books values (1)\0"))).toBe(false);
    expect(conversation.clientSays(typed("Q", "COMMIT\0"))).toBe(true);
  });

  test("not a Parse without an Execute", () => {
    expect(begun().clientSays(Buffer.concat([typed("P", "select 1"), typed("S")]))).toBe(false);
  });
});
