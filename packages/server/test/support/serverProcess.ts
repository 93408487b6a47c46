/** A server in a process of its own, to be killed: `node serverProcess.ts UPSTREAM DIRECTORY`. It prints its URL. */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { DirectoryStore } from "@llm-cache/core"
import { Server } from "@llm-cache/server"
import { Console, Effect, Layer } from "effect"
import { HttpServer } from "effect/http"

const [, , url = "", directory = ""] = process.argv

const printed = Layer.effectDiscard(
  Effect.flatMap(HttpServer.HttpServer, ({ address }) => Console.log(HttpServer.formatAddress(address)))
)

NodeRuntime.runMain(Layer.launch(printed.pipe(
  Layer.provide(Server.layer({ port: 0, trace: { directory }, upstreams: [{ name: "test", url }] })),
  Layer.provide(DirectoryStore.layer(directory)),
  Layer.provide(NodeHttpClient.layerUndici)
)))
