import type { Row } from "../harness/row.ts"
import { aiSize, aiStream, aiText } from "./ai.ts"
import { command, commandDirectory } from "./command.ts"
import { directoryPrompts, directoryPromptsLong } from "./directoryPrompts.ts"
import { directory100, directory1000 } from "./directorySequence.ts"
import { fibers, forks } from "./fibers.ts"
import { independent } from "./independent.ts"
import { inspectorMemory, inspectorPaint } from "./inspector.ts"
import { listeners } from "./listeners.ts"
import { memoryEffect } from "./memoryEffect.ts"
import { memoryMany } from "./memoryMany.ts"
import { memoryStream } from "./memoryStream.ts"
import { million } from "./million.ts"
import { recordDirectory, recordSqlite } from "./record.ts"
import { requestAlone, requestTogether } from "./request.ts"
import {
  serverAlone,
  serverFirstToken,
  serverMissAlone,
  serverMissTogether,
  serverRuns,
  serverStream,
  serverTogether
} from "./server.ts"
import { sqlitePrompts, sqlitePromptsLong } from "./sqlitePrompts.ts"
import { sqliteSequence } from "./sqliteSequence.ts"
import { startUp } from "./startUp.ts"
import { tracingHits, tracingRecords } from "./tracing.ts"

/** All rows, in the order of the table. */
export const rows: ReadonlyArray<Row> = [
  memoryEffect,
  memoryStream,
  memoryMany,
  independent,
  directoryPrompts,
  directoryPromptsLong,
  directory100,
  directory1000,
  sqlitePrompts,
  sqlitePromptsLong,
  sqliteSequence,
  recordSqlite,
  recordDirectory,
  startUp,
  million,
  requestAlone,
  requestTogether,
  serverAlone,
  serverTogether,
  serverMissAlone,
  serverMissTogether,
  serverStream,
  serverFirstToken,
  serverRuns,
  aiText,
  aiStream,
  aiSize,
  listeners,
  tracingHits,
  tracingRecords,
  command,
  commandDirectory,
  inspectorPaint,
  inspectorMemory,
  fibers,
  forks
]
