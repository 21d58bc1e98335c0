-- The credential comes by the environment, out of the list of processes. The figures leave as one
-- JSON object.
wrk.headers[os.getenv("BENCH_HEADER")] = os.getenv("BENCH_CREDENTIAL")

function done(summary, latency, _requests)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %f, "p99": %f, "refused": %d, "failed": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
