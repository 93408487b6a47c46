import { DirectoryStore } from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"

/** The stores that processes share, each in a folder. */
export const stores = {
  directory: (folder: string) => DirectoryStore.layer(folder),
  sqlite: (folder: string) => SqliteStore.layer({ file: `${folder}/samples.db` })
}

export type StoreName = keyof typeof stores
