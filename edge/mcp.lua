-- Before Envoy's MCP bridge, which takes what it is given. What stands above this is written by
-- edge.options: `origins`, the sites whose pages may call, as a set.

local DEEPEST = 32 -- how far arguments may be nested: ours have two levels

local function refused(status, why)
  return {[":status"] = status}, why
end

-- Whether brackets outside of strings are nested further than DEEPEST. The bridge writes arguments by
-- recursion, as deep as they are. A backslash and what it escapes are taken as one.
local function is_too_deep(body)
  local depth, in_string, at = 0, false, 1
  while true do
    local found = body:find(in_string and '["\\]' or '["%[%]{}]', at)
    if not found then
      return false
    end
    local sign = body:sub(found, found)
    at = found + 1
    if sign == "\\" then
      at = at + 1
    elseif sign == '"' then
      in_string = not in_string
    elseif sign == "[" or sign == "{" then
      depth = depth + 1
      if depth > DEEPEST then
        return true
      end
    else
      depth = depth - 1
    end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if (headers:get(":path") or ""):match("^[^?]*") ~= "/mcp" then
    return
  end
  if headers:get(":method") ~= "POST" then
    handle:respond({[":status"] = "405", ["allow"] = "POST"}, "This path answers POST.")
    return
  end
  -- MCP, "Transports": an agent has no Origin, a page has one, also one that DNS rebinding brought here.
  local origin = headers:get("origin")
  if origin and not origins[origin] then
    handle:respond(refused("403", "Pages of this site may not call."))
    return
  end
  local kind = (headers:get("content-type") or ""):lower()
  if not kind:find("^application/json%s*$") and not kind:find("^application/json%s*;") then
    local accept = {[":status"] = "415", ["accept"] = "application/json"}
    handle:respond(accept, "Send JSON-RPC, with the header Content-Type: application/json.")
    return
  end
  if (headers:get("content-encoding") or "identity"):lower() ~= "identity" then
    local accept = {[":status"] = "415", ["accept-encoding"] = "identity"}
    handle:respond(accept, "Send the body as it is, without Content-Encoding.")
    return
  end
  -- A session is a person's, and Idempotency-Key one call's: here it would be every call's.
  headers:remove("cookie")
  headers:remove("idempotency-key")
  handle:streamInfo():dynamicMetadata():set("mcp", "here", true)
  local body = handle:body()
  if body == nil or body:length() == 0 then
    handle:respond(refused("400", "Send a JSON-RPC message.")) -- the bridge would wait for it for ever
    return
  end
  if is_too_deep(body:getBytes(0, body:length())) then
    handle:respond(refused("400", "The message is nested too deeply."))
  end
end

-- JSON as the text of a JSON string.
local function quoted(json)
  return '"' .. json:gsub("%c", " "):gsub('[\\"]', "\\%0") .. '"'
end

function envoy_on_response(handle)
  local about = handle:streamInfo():dynamicMetadata():get("mcp")
  if about == nil then
    return
  end
  if about.refusal then
    -- The list was refused, and the bridge has told that without saying why.
    local body = handle:body()
    local text = body and body:getBytes(0, body:length()) or ""
    local from, to = text:find('"message":"Server error"', 1, true)
    if from then
      body:setBytes(text:sub(1, from - 1) .. '"message":' .. quoted(about.refusal) .. text:sub(to + 1))
    end
  elseif about.called then
    -- The bridge leaves 401 and 403, at which clients drop the body, and with it the reason.
    handle:headers():replace(":status", "200")
  end
end
