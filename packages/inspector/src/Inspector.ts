/**
 * Pages of runs in the browser: their draws, replays, costs and misses.
 *
 * **When to use**
 *
 * `llm-cache inspect` opens them, and `llm-cache serve` has them at `/inspect`. Use `layer` to add them to a server of your
 * own, and `file` to make one file of a run.
 *
 * **Details**
 *
 * | page | shows |
 * | --- | --- |
 * | `/inspect` | the runs that have a trace |
 * | `/inspect/runs/ID` | a run: its counts, tokens over time, forks, draws, first miss and receipt |
 * | `/inspect/runs/ID/misses/ROW` | why a draw missed |
 * | `/inspect/compare?a=ID&b=ID` | the first divergence of two runs |
 * | `/inspect/prompts/HASH` | the samples of a prompt and their readers |
 * | `/inspect/cache` | the models and prompts of the cache |
 *
 * With `.json` or `.md` behind its path, each page is data or Markdown. The pages only read: the cache stays as it is. They show
 * texts as they are, and ask nothing of other servers.
 *
 * @since 0.1.0
 */
import type { StoreError } from "@llm-cache/core/SampleError"
import { SampleStore } from "@llm-cache/core/SampleStore"
import type { Run } from "@llm-cache/core/Trace"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { changesOfRun, changesOfRuns } from "./internal/changes.ts"
import { linksBelow, noLinks, type Page, type Params, type Sources } from "./internal/context.ts"
import { makeExplanations } from "./internal/explanations.ts"
import { type Html, html } from "./internal/html.ts"
import { makeIndexes } from "./internal/indexes.ts"
import { filePage, servedPage } from "./internal/layout.ts"
import { cachePage } from "./internal/pages/cache.ts"
import { comparePage } from "./internal/pages/compare.ts"
import { missPage } from "./internal/pages/miss.ts"
import { promptPage } from "./internal/pages/prompt.ts"
import { runPage } from "./internal/pages/run.ts"
import { runsPage } from "./internal/pages/runs.ts"
import { empty } from "./internal/parts.ts"
import { problemBody, problemJson, problemMarkdown, problemTitle } from "./internal/problem.ts"
import * as Responses from "./internal/responses.ts"
import { makeTexts } from "./internal/texts.ts"

/**
 * The traces, and the path of the pages.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The folder above the traces' `.runs`, see `Trace.directoryOf`.
   *
   * @default the folder of the user's state
   */
  readonly directory?: string | undefined
  /**
   * The path of the pages.
   *
   * @default "/inspect"
   */
  readonly path?: `/${string}` | undefined
  /**
   * Ends when the server begins to stop: then live pages are told, and their connections end.
   *
   * @default never
   */
  readonly stopping?: Effect.Effect<void> | undefined
}

const makeSources = Effect.fnUntraced(function*(directory: string | undefined): Effect.fn.Return<
  Sources,
  never,
  SampleStore | Scope.Scope
> {
  const store = yield* SampleStore
  return {
    store,
    indexes: yield* makeIndexes(directory),
    texts: makeTexts(store),
    explanations: yield* makeExplanations(store)
  }
})

/**
 * Adds the pages to the `HttpRouter`. Hosts, origins and tokens are matters of the server: `Server.layer` guards further pages
 * as it guards its own paths.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  { directory, path: base = "/inspect", stopping = Effect.never }: Options = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter | SampleStore> =>
  Layer.unwrap(Effect.map(makeSources(directory), (sources) => {
    const links = linksBelow(base)

    /** Answers with a page, or as its suffix says. */
    const answer = <Input, Data>(
      page: Page<Input, Data>,
      part: "runs" | "cache",
      path: string,
      query: string,
      input: Input,
      live?: string
    ): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
      const suffix = /\.(json|md)$/.exec(path)?.[1]
      const plain = path.replace(/\.(?:json|md)$/, "")
      const show = (title: string, body: Html, status = 200) =>
        Responses.page(
          servedPage({ base, links, part, title, body, path: plain, query, live: status === 200 ? live : undefined }),
          status
        )
      return page.load(sources, input).pipe(
        // Another program may have changed a trace that was read.
        Effect.retry({ times: 1, while: sources.indexes.forget }),
        Effect.map((data) => {
          if (data === undefined) {
            return suffix === "json"
              ? Responses.json({ error: "there is no such page", type: "NotFound" }, 404)
              : suffix === "md"
              ? Responses.markdown("# Not found\n\nThere is no such page.\n", 404)
              : show("Not found", html`<h1>Not found</h1>${notThere(links.runs())}`, 404)
          }
          return suffix === "json"
            ? Responses.json(page.json(data))
            : suffix === "md"
            ? Responses.markdown(page.markdown(data))
            : show(page.title(data), page.body(data, links))
        }),
        Effect.catch((error: StoreError) =>
          Effect.sync(() =>
            suffix === "json"
              ? Responses.json(problemJson(error), 500)
              : suffix === "md"
              ? Responses.markdown(problemMarkdown(error), 500)
              : show(problemTitle(error), problemBody(error, links), 500)
          )
        )
      )
    }

    /** Answers at a path. With `/*` at its end, the handler has the segments below. */
    const route = (
      route: `/${string}`,
      handler: (
        request: { readonly path: string; readonly query: string; readonly params: Params; readonly now: number },
        segments: ReadonlyArray<string>
      ) => Effect.Effect<HttpServerResponse.HttpServerResponse>
    ) =>
      HttpRouter.add(
        "GET",
        route,
        Effect.gen(function*() {
          const { url } = yield* HttpServerRequest.HttpServerRequest
          const [path = "", query = ""] = url.split(/\?(.*)/s)
          const segments = route.endsWith("/*") ? segmentsBelow(path, route.slice(0, -1)) : []
          const now = yield* Clock.currentTimeMillis
          return yield* handler(
            { path, query: query === "" ? "" : `?${query}`, params: new URLSearchParams(query), now },
            segments
          )
        })
      )

    const runs: Parameters<typeof route>[1] = ({ params, path, query }) =>
      answer(runsPage, "runs", path, query, params, `${base}/events`)
    const withoutSuffix = (name = "") => name.replace(/\.(?:json|md)$/, "")

    return Layer.mergeAll(
      route(base, runs),
      route(`${base}/runs.json`, runs),
      route(`${base}/runs.md`, runs),
      // A router's parameters have a greatest length, and names of runs may be longer.
      route(`${base}/runs/*`, (request, segments) => {
        const { params, path, query } = request
        const [id, misses, row] = segments
        if (id === undefined) return runs(request, segments)
        if (misses === undefined) {
          const name = withoutSuffix(id)
          const live = `${base}/events?run=${encodeURIComponent(name)}`
          return answer(runPage, "runs", path, query, { id: name, params }, live)
        }
        const number = withoutSuffix(row)
        const isMiss = misses === "misses" && segments.length === 3 && /^\d{1,9}$/.test(number)
        return answer(missPage, "runs", path, query, { id, row: isMiss ? Number(number) : -1 })
      }),
      ...["compare", "compare.json", "compare.md"].map((name) =>
        route(
          `${base}/${name}`,
          ({ params, path, query }) =>
            answer(comparePage, "runs", path, query, { a: params.get("a") ?? "", b: params.get("b") ?? "" })
        )
      ),
      route(`${base}/prompts/*`, ({ now, params, path, query }, segments) =>
        answer(
          promptPage,
          params.has("run") ? "runs" : "cache",
          path,
          query,
          { hash: segments.length === 1 ? withoutSuffix(segments[0]) : "", params, now },
          params.has("run") ? `${base}/events?run=${encodeURIComponent(params.get("run")!)}` : undefined
        )),
      ...["cache", "cache.json", "cache.md"].map((name) =>
        route(
          `${base}/${name}`,
          ({ now, params, path, query }) => answer(cachePage, "cache", path, query, { params, now })
        )
      ),
      route(`${base}/style.css`, () => Effect.succeed(Responses.style)),
      route(`${base}/live.js`, () => Effect.succeed(Responses.script)),
      route(`${base}/events`, ({ params }) =>
        Effect.succeed(
          Responses.events(
            params.has("run") ? changesOfRun(sources, params.get("run")!) : changesOfRuns(sources),
            stopping
          )
        ))
    )
  }))

const segmentsBelow = (path: string, above: string): ReadonlyArray<string> => {
  const plain = path.replaceAll(/\/{2,}/g, "/")
  const at = plain.indexOf(above)
  const below = at < 0 ? "" : plain.slice(at + above.length)
  return below === "" ? [] : below.split("/").map(decoded)
}

/** No page has the name of a segment that is not percent-encoded. */
const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return ""
  }
}

const notThere = (runs: string | undefined) =>
  empty(
    "There is no such page.",
    html`<p>The run may have been pruned, or belongs to another cache. See <a href="${runs}">the runs of this cache</a>.</p>`
  )

/**
 * A run as one page that opens from a disk, without a server.
 *
 * @category files
 * @since 0.1.0
 */
export const file = (
  run: Run,
  options: Pick<Options, "directory"> = {}
): Effect.Effect<string, StoreError, SampleStore> =>
  Effect.scoped(Effect.gen(function*() {
    const sources = yield* makeSources(options.directory)
    const data = yield* runPage.load(sources, { id: run.id, params: new URLSearchParams(), wait: true })
    if (data === undefined) return filePage({ title: run.id, body: html`<h1>Not found</h1>` })
    return filePage({ title: runPage.title(data), body: runPage.body(data, noLinks) })
  }))
