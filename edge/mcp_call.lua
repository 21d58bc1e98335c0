-- Behind Envoy's MCP bridge: the REST call that it has made of a tools/call or a tools/list.

local LONGEST = 4096 -- of a path; headers in whole may have 8 KiB, and the bridge comes after that check

local function mark(handle, key, value)
  handle:streamInfo():dynamicMetadata():set("mcp", key, value)
end

function envoy_on_request(handle)
  if handle:streamInfo():dynamicMetadata():get("mcp") == nil then
    return
  end
  local path = handle:headers():get(":path")
  mark(handle, path == "/api/mcp/tools" and "listed" or "called", true)
  if #path > LONGEST then
    handle:respond({[":status"] = "400"}, "The arguments are too long.")
    return
  end
  -- An argument that is empty takes its segment out of the path: what is left may be another call's.
  local segments = path:match("^[^?]*") .. "/"
  if segments:find("//", 1, true) then
    handle:respond({[":status"] = "400"}, "An argument that names something is empty.")
  end
end

function envoy_on_response(handle)
  local about = handle:streamInfo():dynamicMetadata():get("mcp")
  if about == nil or not about.listed or tonumber(handle:headers():get(":status")) < 400 then
    return
  end
  local body = handle:body()
  if body ~= nil then
    mark(handle, "refusal", tostring(body:getBytes(0, body:length())))
  end
end
