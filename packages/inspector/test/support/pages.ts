import { NodeHttpClient } from "@effect/platform-node"
import { DirectoryStore, type SampleError, SampleStore } from "@llm-cache/core"
import { Inspector } from "@llm-cache/inspector"
import { Server } from "@llm-cache/server"
import { Context, Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

export const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-inspector-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)

/** Serves the pages of a directory until the scope closes, and returns their URL. */
export const servePages = (
  directory: string,
  options: Omit<Server.ListenOptions, "port"> = {},
  store: Layer.Layer<SampleStore.SampleStore, SampleError.StoreError> = DirectoryStore.layer(directory)
) =>
  Effect.map(
    Layer.build(
      Server.layer(
        { replication: true, trace: false, ...options, port: 0 },
        Layer.unwrap(Effect.map(Server.Server, ({ stopping }) => Inspector.layer({ directory, stopping })))
      ).pipe(
        Layer.provide([store, NodeHttpClient.layerUndici])
      )
    ),
    (context) => HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
  )

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export const get = (url: string, headers: Record<string, string> = {}): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await fetch(url, { headers, redirect: "manual" })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

/** The names and contents of all files below a folder. */
export const treeOf = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted().map((name) => {
    const path = Path.join(folder, name)
    return Fs.statSync(path).isDirectory() ? name : `${name} ${Fs.readFileSync(path, "base64")}`
  })
