import * as Context from "effect/Context"
import * as LlmModel from "../../LlmModel.ts"
import { RepeatableModel } from "../../RepeatableModel.ts"

/** A model that repeats, as the services that it is. */
export const repeatableContext = (model: LlmModel.Model): Context.Context<LlmModel.LlmModel | RepeatableModel> =>
  Context.make(LlmModel.LlmModel, model).pipe(Context.add(RepeatableModel, model))
