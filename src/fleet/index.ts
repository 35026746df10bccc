/** @since 0.1.0 */
export * as Share from "./Share.js"
/** @since 0.1.0 */
export * as SharedStore from "./SharedStore.js"
