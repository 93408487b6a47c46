/**
 * Our server, over a directory, or over SQLite if the name of its place ends in `.db`.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { DirectoryStore } from "@llm-cache/core"
import { Server } from "@llm-cache/server"
import { SqliteStore } from "@llm-cache/sqlite"
import * as Effect from "effect/Effect"
import { HttpServer } from "effect/http"
import * as Layer from "effect/Layer"

export const replaying = (place: string, upstream: string) => {
  const store = place.endsWith(".db")
    ? SqliteStore.layer({ file: place, durability: "process" })
    : DirectoryStore.layer(place, { durability: "process" })
  return Server.layer({
    port: 0,
    trace: { directory: `${place}-traces` },
    upstreams: [{ name: "openai", url: `${upstream}/v1`, uniqueResponseIds: false }]
  }).pipe(Layer.provide(store), Layer.provide(NodeHttpClient.layerUndici))
}

export const urlOf = Effect.map(HttpServer.HttpServer, ({ address }) => HttpServer.formatAddress(address))
