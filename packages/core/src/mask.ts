/*
 * The one mask for secrets in text (SEC-25): log lines, errors, the command line and doctor use it.
 * This file imports nothing, so that the command line can use it before anything else is loaded.
 * It rather hides too much than too little, and takes time in proportion to the text.
 */

/** Stands for a secret in a text. */
const mask = "***";

/** Names of secrets, read without case and without the marks between their words. */
const secretNames =
  /password|passwd|passwort|kennwort|motdepasse|passphrase|passcode|(?<!com|by|sur|tres)pass\d*$|pwd|secret(?!ar)|token(?!i[sz])|credential|authori[sz]ation|cookie|signature|jwt|bearer|(api|access|private|signing|encryption|master|account|shared|auth|client|service|ssh|subscription)key|^x[a-z]+key$|^(pw|auth|otp|sid)$|connectsid$|sess(ion)?(id|key)/;

/**
 * Names that are secrets in the query of a URL only: elsewhere a job has a key, and an error a
 * code.
 */
const secretParameters = /key$|sig$|^code$|^session$|auth$/;

/**
 * Secrets that are known by how they begin, whatever stands before them: of GitHub, GitLab, npm,
 * Slack, Stripe, OpenAI, Hugging Face, SendGrid, Google and AWS.
 */
const knownTokens =
  /\b(gh[oprsu]_|github_pat_|glpat-|npm_(?=[A-Za-z0-9]{24})|xox[a-z]-|sk-(?=[\w-]*[0-9A-Z])|[rs]k_(?:live|test)_|hf_(?=[a-z]*[A-Z])|SG\.|ya29\.|AIza|AKIA|ASIA)[\w.-]{12,}/g;

/** Addresses that are secrets as a whole, since who knows them may use them. */
const secretAddresses =
  /\b(hooks\.slack\.com\/(?:services|workflows)\/|discord(?:app)?\.com\/api\/webhooks\/|api\.telegram\.org\/bot)[^\s"'<>]+/gi;

/** A private key in PEM, also as one line with "\\n" in it. Cut off, all of it is the key. */
const privateKeys = /(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----).*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/gs;

/** Most characters of a name, so that looking for its start takes no longer. */
const longestName = 80;

/** Whether a property, header, parameter or variable of this name holds a secret: in any case. */
export function isSecretName(name: string): boolean {
  return secretNames.test(plain(name));
}

const plain = (name: string) =>
  name
    .slice(-longestName)
    .replace(/[^a-z0-9]/gi, "")
    .toLowerCase();

/**
 * A text with the secrets in it replaced by "***": passwords of URLs, values that a secret's name
 * stands before (in a query, a connection string, a header, JSON or SQL), bearer tokens and JWTs.
 */
export function maskSecrets(text: string): string {
  return maskValues(maskUserinfo(text.replace(privateKeys, `$1${mask}-----END PRIVATE KEY-----`)))
    .replace(/\b(bearer[ \t]+)([^\s,;"'<>\\]+)/gi, (all, scheme: string, value: string) =>
      /^(tokens?|auth\w*|header|scheme|realm)[.:)]*$/i.test(value) || prose.test(value) ? all : scheme + mask,
    )
    .replace(/\b((?:[Bb]asic|BASIC|[Nn]egotiate|[Dd]igest)[ \t]+)(?=[a-z+/]*[A-Z0-9])[\w+/]{6,}=*/g, `$1${mask}`)
    .replace(/\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?/g, mask)
    .replace(/(\bidentified\s{1,10}by\s{1,10})'(?:[^']|'')*'?/gi, `$1'${mask}'`)
    .replace(/(\s(?:-u|--user)[ =]["']?[^\s:"']{1,80}:)[^\s"']+/g, `$1${mask}`)
    .replace(knownTokens, `$1${mask}`)
    .replace(secretAddresses, `$1${mask}`);
}

/**
 * Hides the passwords of URLs. A password may hold "/", "@", "#", "?" and ":" as they are, so it
 * reaches to the last "@" before a space.
 */
function maskUserinfo(text: string): string {
  return text.replace(/([a-z][\w+.-]{0,30}:)?\/\/([^\s]*)/gi, (all, scheme: string | undefined, rest: string) => {
    const end = rest.lastIndexOf("@");
    if (end === -1) return all;
    const user = /^[^:@/?#]*/.exec(rest)![0];
    const isWeb = /^(https?|wss?):$/i.test(scheme ?? "");
    if (isWeb && /^:\d{1,5}[/?#]/.test(rest.slice(user.length, user.length + 8))) return all; // a port and a path
    const isNamed = rest[user.length] === ":"; // else what stands before the "@" is a path, or a name alone
    if (isNamed) return `${scheme ?? ""}//${user}:${mask}${rest.slice(end)}`;
    // A name alone: over HTTP it is a token.
    return rest[user.length] === "@" && isWeb ? `${scheme}//${mask}${rest.slice(user.length)}` : all;
  });
}

/**
 * Hides what stands behind the name of a secret: after ":", "=", "=>" or "->", quoted after a
 * space, in an XML element, or as the part of a form.
 */
function maskValues(text: string): string {
  const separators =
    /(?:[:=]>?|->)\s{0,10}|%3[ad]|(?<=<[\w.:-]{1,80})>|(?<=["'])(?:\r?\n){2}|\s{1,10}(?:[en](?=')|(?=['"$]))|(?<=[\w-])[ \t]/gi;
  let shown = "";
  let at = 0;
  for (let found = separators.exec(text); found; found = separators.exec(text)) {
    if (found.index < at) continue;
    const start = found.index + found[0].length;
    const end = secretEnd(text, nameBefore(text, found.index), found[0], start);
    if (end === undefined || end <= start) continue;
    const [quote] = /^\\*["']?/.exec(text.slice(start, start + 8))!;
    shown += text.slice(at, start) + quote + mask + (quote && text.startsWith(quote, end - quote.length) ? quote : "");
    at = separators.lastIndex = end;
  }
  return shown + text.slice(at);
}

/** The name that ends at a place, and the character before it; its own quotes are left out. */
function nameBefore(text: string, place: number): { name: string; before: string } {
  const near = text.slice(Math.max(0, place - longestName - 12), place);
  const [, before = "", name = ""] = /(^|[^\w.-])([\w.-]{1,80})(?:\\{0,4}["'`\]])?\s{0,4}$/.exec(near) ?? [];
  return { name, before };
}

/** Where the secret that starts at a place ends; undefined if there is none. */
function secretEnd(
  text: string,
  { name, before }: { name: string; before: string },
  found: string,
  start: number,
): number | undefined {
  const separator = found.trim();
  const isEncoded = separator.startsWith("%");
  const inUrl = isEncoded && before === "%" ? /^(?:3f|26)(.+)$/i.exec(name)?.[1] : undefined;
  const isParameter = inUrl !== undefined || before === "?" || before === "&" || before === ";";
  const isSecret = isSecretName(name) || (isParameter && secretParameters.test(plain(inUrl ?? name)));
  if (name === "" || !isSecret) return undefined;
  const rest = text.slice(start, start + 40);
  if (separator === ">") return elementEnd(text, start);
  if (isEncoded) return upTo(text, start, /%26|[\s&"'<>]/gi);
  const [dollars] = /^\$\w{0,30}\$/.exec(rest) ?? [];
  const isQuoted = dollars !== undefined || /^\\*["']/.test(rest);
  if (/^[en]?$/i.test(separator)) {
    if (found.includes("\n") && !isQuoted) return upTo(text, start, /[\r\n]/g); // the part of a form
    const isFollowed = isQuoted ? /pass/i.test(name) : name.startsWith("--"); // password 'x', --password x
    if (!isFollowed) return undefined;
  }
  if (dollars !== undefined) return through(text, start + dollars.length, dollars);
  if (isQuoted) return quotedEnd(text, start);
  if (placeholder.test(rest) || (separator === ":" && prose.test(rest))) return undefined;
  if (/^[[{]/.test(rest)) return bracketEnd(text, start);
  if (/^[|>][+-]?[ \t]*\r?\n/.test(rest)) return upTo(text, start, /\n(?=\S)/g); // a block of lines
  // A header's value may have spaces: "Bearer ...", "a=b; c=d".
  if (/authori[sz]ation|cookie/.test(plain(name))) return upTo(text, start, /[\r\n"'`]|\\[nr"]/g);
  return isParameter ? upTo(text, start, /[\s&"<>]/g) : upTo(text, start, /(?<!\\)[\s"]/g);
}

/** Words that a sentence about a secret goes on with, as in "token: must not be empty". */
const prose =
  /^(?:must|is|was|are|give|the|an?|not|no|set|may|should|cannot|can|has|had|too|of|for|to|only|either|unknown|invalid|missing|expected|required|make|use|send|undefined|null|true|false|none|it|in|and|or|with|does|did)(?=[\s.,)]|$)/i;

/** What stands for a secret already, or is a blank to fill in. */
const placeholder = /^(?:(?:bearer )?<[a-z ]{1,20}>|\[hidden\]|\*\*\*)/i;

/** Behind the quote that closes the one at `start`: not a doubled or an escaped one. */
function quotedEnd(text: string, start: number): number {
  const [quote] = /^\\*["']/.exec(text.slice(start, start + 8))!;
  for (let at = start + quote.length; at < text.length; at += 1) {
    if (quote.length === 1 && text[at] === "\\") at += 1;
    else if (text.startsWith(quote, at)) {
      const isDoubled = quote === "'" && text[at + 1] === "'";
      if (!isDoubled) return at + quote.length;
      at += 1;
    }
  }
  return text.length; // cut off: all of it is the secret
}

/** Where the element's closing tag begins; undefined if it has none, as in "Bearer <token>". */
function elementEnd(text: string, start: number): number | undefined {
  const [content, close] = /^[^<]{0,4096}(<\/)?/.exec(text.slice(start, start + 4_100))!;
  return close === undefined ? undefined : start + content.length - close.length;
}

/** Behind the bracket that closes the one at `start`. Brackets in quotes do not count. */
function bracketEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === '"' || character === "'") at = quotedEnd(text, at) - 1;
    else if (character === "{" || character === "[") depth += 1;
    else if ((character === "}" || character === "]") && (depth -= 1) === 0) return at + 1;
  }
  return text.length;
}

/** Behind the next `mark`. Without one the text was cut off, and all of it is the secret. */
function through(text: string, start: number, mark: string): number {
  const at = text.indexOf(mark, start);
  return at === -1 ? text.length : at + mark.length;
}

function upTo(text: string, start: number, mark: RegExp): number {
  mark.lastIndex = start;
  return mark.exec(text)?.index ?? text.length;
}

/**
 * A setting that is a URL, with every secret in it replaced by "***": the password, also as a
 * parameter.
 */
export function maskUrl(text: string): string {
  const masked = maskUserinfo(text);
  if (!URL.canParse(masked)) return mask; // whatever it is, it may hold a password
  const url = new URL(masked);
  for (const name of new Set(url.searchParams.keys())) {
    if (isSecretName(name) || /key|pass/i.test(name)) url.searchParams.set(name, mask);
  }
  url.hash = "";
  return url.href;
}
