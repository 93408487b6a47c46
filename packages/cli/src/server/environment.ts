/** The environment of the program of `llm-cache run`. */
import type { Api } from "@llm-cache/server/Upstream"

/**
 * Leads clients to the server.
 *
 * @param root The URL of the run, without layers.
 * @param keyless The protocols whose clients need no key of their own.
 */
export const environmentFor = (
  env: NodeJS.ProcessEnv,
  { keyless, root }: { readonly root: string; readonly keyless: ReadonlyArray<Api> }
): NodeJS.ProcessEnv => {
  const openAi = `${root}/independent/v1`
  return {
    ...env,
    ...direct(env),
    // Clients do not start without a key.
    ...keyless.includes("openai") && !env["OPENAI_API_KEY"] ? { OPENAI_API_KEY: "llm-cache" } : undefined,
    ...keyless.includes("anthropic") && !env["ANTHROPIC_API_KEY"] && !env["ANTHROPIC_AUTH_TOKEN"]
      ? { ANTHROPIC_API_KEY: "llm-cache" }
      : undefined,
    OPENAI_BASE_URL: openAi,
    OPENAI_API_BASE: openAi,
    // Clients of Anthropic add `/v1` by themselves.
    ANTHROPIC_BASE_URL: `${root}/independent`,
    LLM_CACHE_URL: root
  }
}

/** Keeps clients from asking a proxy for the server. */
const direct = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => {
  if (!Object.keys(env).some((name) => /^(?:https?|all)_proxy$/i.test(name))) return {}
  const given = env["NO_PROXY"] || env["no_proxy"]
  if (given === "*") return {}
  const hosts = [...given ? [given] : [], "127.0.0.1"].join(",")
  return { NO_PROXY: hosts, no_proxy: hosts }
}
