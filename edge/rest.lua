-- Before the transcoder, which answers 404 to whatever it cannot transcode. What stands above this is
-- made from the protos by tools.methods: `paths`, the REST paths of this listener as a tree. A node has
-- `verbs` where a path may end, `next` by literal segment, and `any` for a variable one.

local function at(path)
  local node = paths
  for segment in path:gmatch("/([^/]*)") do
    node = node.next and node.next[segment] or node.any
    if node == nil then
      return nil
    end
  end
  return node.verbs
end

-- RFC 9110, 15.5.6: a refused method comes with those that are answered.
local function not_allowed(verbs)
  return {[":status"] = "405", ["allow"] = verbs}, "This path answers " .. verbs .. "."
end

-- RFC 9110, 15.5.16.
local function unsupported(what)
  return {[":status"] = "415", ["accept"] = "application/json", ["accept-encoding"] = "identity"}, what
end

function envoy_on_request(handle)
  local headers = handle:headers()
  -- Both would go on as something else than a request, and wait for what never comes.
  if headers:get("upgrade") or headers:get(":method") == "CONNECT" then
    handle:respond({[":status"] = "400"}, "Upgrade and CONNECT are not spoken here.")
    return
  end
  local kind = (headers:get("content-type") or ""):lower()
  if kind:find("^application/grpc") then
    return
  end
  local path = headers:get(":path")
  local verbs = path and at(path:match("^[^?]*"))
  if not verbs then
    return
  end
  if not (", " .. verbs .. ","):find(" " .. headers:get(":method") .. ",", 1, true) then
    handle:respond(not_allowed(verbs))
    return
  end
  if headers:get("content-length") == "0" then
    return -- `curl -d ''` says that nothing is a form
  end
  if kind ~= "" and not kind:find("^application/json%s*$") and not kind:find("^application/json%s*;") then
    handle:respond(unsupported("Send the body as JSON, with the header Content-Type: application/json."))
    return
  end
  local encoding = headers:get("content-encoding")
  if encoding and encoding:lower() ~= "identity" then
    handle:respond(unsupported("Send the body as it is, without Content-Encoding."))
  end
end
