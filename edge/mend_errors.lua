-- The last filter before the router. What stands above this is made from the protos by
-- tools.capabilities: `capabilities`, the one that each RPC needs, by its path.

local says = {
  ["4"] = {"DEADLINE_EXCEEDED", "The call took longer than its deadline."},
  ["8"] = {"OVERLOADED", "Too much at once. Try again later."},
  ["12"] = {"NOT_IMPLEMENTED", "This is not built yet."},
  ["13"] = {"INTERNAL", "A service failed without saying why."},
  ["14"] = {"DEPENDENCY_UNAVAILABLE", "A service that this call needs does not answer. Try again."},
}

-- A field of a protobuf message, shorter than 128 bytes: tag, length, content.
local function field(number, content)
  return string.char(number * 8 + 2, #content) .. content
end

-- One of the details of a google.rpc.Status.
local function detail(kind, content)
  return field(3, field(1, "type.googleapis.com/google.rpc." .. kind) .. field(2, content))
end

local function mend(handle, answer)
  local code = answer:get("grpc-status")
  if code ~= nil and code ~= "0" and answer:get("grpc-status-details-bin") == nil then
    code = says[code] and code or "13"
    local reason, message = says[code][1], says[code][2]
    local status = string.char(8, tonumber(code)) .. field(2, message)
      .. detail("ErrorInfo", field(1, reason) .. field(2, "f2hcloud"))
    local known = handle:streamInfo():dynamicMetadata():get("request")
    if known ~= nil and known.id ~= nil then
      status = status .. detail("RequestInfo", field(1, known.id))
    end
    answer:replace("grpc-status", code)
    answer:replace("grpc-message", message)
    answer:replace("grpc-status-details-bin", (handle:base64Escape(status):gsub("=", "")))
  end
end

-- What a call with a token needs: auth, which says it of keys where the access log reads it, was not asked.
-- Whether the token holds it, the service judges.
local function note_capability(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local shown = metadata:get("envoy.filters.http.jwt_authn")
  if shown == nil or shown.token == nil then
    return
  end
  local path = handle:headers():get(":path") or ""
  local capability = capabilities[path:match("^[^?]*")]
  if capability ~= nil then
    metadata:set("envoy.filters.http.ext_authz", "capability", capability)
  end
end

-- What is only read may be read again, when a process dies that was asked. What changes something is
-- never sent twice: see the route's retry_policy.
function envoy_on_request(handle)
  local headers = handle:headers()
  handle:streamInfo():dynamicMetadata():set("request", "id", headers:get("x-request-id"))
  if headers:get("x-envoy-original-method") == "GET" then
    headers:replace("x-envoy-retry-on", "reset")
  end
  note_capability(handle)
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get("grpc-status") ~= nil then
    mend(handle, headers)
  else
    local trailers = handle:trailers()
    if trailers ~= nil then
      mend(handle, trailers)
    end
  end
end
