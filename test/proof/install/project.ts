import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { type Block, blocksOf } from "../../docs/blocks.ts";
import { plainEnvironment } from "../../support/plain-environment.ts";
import type { Tarballs } from "./tarballs.ts";

/** How long one script may take, in ms. `next build` takes longest: a minute on a busy machine. */
const scriptMs = 400_000;

/** A file or a script of a project, as a document prints it. */
interface Part extends Block {
  /** Of a file, its path in the project. Undefined for a script. */
  readonly file: string | undefined;
}

interface Where {
  cwd?: string;
  env?: Record<string, string>;
}

/** The parts of a project in a document, in order. Throws if there are none. */
export function partsOf(document: string, project: string): Part[] {
  const parts = blocksOf(document).flatMap((block) => {
    const [name, ...path] = (block.info["project"] ?? "").split("/");
    return name === project ? [{ ...block, file: path.length > 0 ? path.join("/") : undefined }] : [];
  });
  if (parts.length === 0) throw new Error(`${document} has no project ${project}`);
  return parts;
}

/** A project of a user in a temporary folder, with Hark installed from tarballs. */
export class Project implements AsyncDisposable {
  readonly folder: string;
  readonly #env: Record<string, string>;

  private constructor(folder: string, databaseUrl: string) {
    this.folder = folder;
    this.#env = {
      ...plainEnvironment(),
      PATH: [join(folder, "node_modules/.bin"), dirname(process.execPath), process.env["PATH"]].join(delimiter),
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: "warn",
      CI: "1",
      NEXT_TELEMETRY_DISABLED: "1",
      npm_config_audit: "false",
      npm_config_fund: "false",
      npm_config_loglevel: "error",
      npm_config_prefer_offline: "true",
      npm_config_update_notifier: "false",
    };
  }

  /** Makes a project. `also` is installed with Hark, as `name@version`. */
  static async make(
    tarballs: Tarballs,
    databaseUrl: string,
    { also = [], manifest = {} }: { also?: readonly string[]; manifest?: object } = {},
  ): Promise<Project> {
    const project = new Project(await mkdtemp(join(tmpdir(), "hark-project-")), databaseUrl);
    try {
      await project.write("package.json", JSON.stringify({ name: "project", private: true, ...manifest }));
      await project.run(`npm install ${[...tarballs.files, ...also].join(" ")}`);
      return project;
    } catch (error) {
      await project[Symbol.asyncDispose]();
      throw error;
    }
  }

  async write(file: string, text: string): Promise<void> {
    const path = join(this.folder, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }

  /**
   * Writes the files of a document and runs its scripts. Each must print what it says it prints.
   */
  async follow(document: string, name: string, env: Record<string, string> = {}): Promise<void> {
    const parts = partsOf(document, name);
    for (const { file, text } of parts) if (file !== undefined) await this.write(file, text);
    for (const { file, line, text } of parts) {
      if (file !== undefined) continue;
      const output = await this.run(text, { env });
      for (const [, printed] of text.matchAll(/^# Prints: (.*)$/gm))
        if (!output.includes(printed!))
          throw new Error(`${document}:${line}: did not print ${printed}, but:\n${output}`);
    }
  }

  /** Runs a script with bash. Returns what it printed. Throws with that if it fails. */
  async run(script: string, { cwd = this.folder, env = {} }: Where = {}): Promise<string> {
    const child = this.start(script, { cwd, env });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += String(text)));
    const late = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), scriptMs);
    const [code] = (await once(child, "close")) as [number | null];
    clearTimeout(late);
    if (code !== 0) throw new Error(`exit code ${code} of: ${script}\n${output.slice(-8_000)}`);
    return output;
  }

  /** Starts a script in a process group of its own. */
  start(script: string, { cwd = this.folder, env = {} }: Where = {}) {
    return spawn("bash", ["-ec", script], {
      cwd,
      env: { ...this.#env, ...env },
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
