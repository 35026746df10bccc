/** @since 0.1.0 */
export * as Alerts from "./Alerts.js"
/** @since 0.1.0 */
export * as Explain from "./Explain.js"
/** @since 0.1.0 */
export * as Grafana from "./Grafana.js"
/** @since 0.1.0 */
export * as Health from "./Health.js"
/** @since 0.1.0 */
export * as Observability from "./Observability.js"
/** @since 0.1.0 */
export * as Prometheus from "./Prometheus.js"
/** @since 0.1.0 */
export * as Registry from "./Registry.js"
