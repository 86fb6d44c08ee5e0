/** Parameters of a connection string that are secrets, or lead to one. */
const secretName = /pass|pwd|secret|token|key/i;

/** A URL with every secret in it replaced by "***": the password, also where it stands in a parameter. */
export function maskUrl(text: string): string {
  if (!URL.canParse(text)) return "***"; // whatever it is, it may hold a password
  const url = new URL(text);
  if (url.password !== "") url.password = "***";
  for (const name of new Set(url.searchParams.keys())) {
    if (secretName.test(name)) url.searchParams.set(name, "***");
  }
  url.hash = "";
  return url.href;
}
