-- Tables, strings, closures, coroutines and collections: all of Lua's memory goes through realloc.
local state = 42
local function dice(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return (state >> 8) % n
end

local count, order = {}, {}
for _ = 1, 200000 do
  local letters = {}
  for i = 1, 1 + dice(4) do letters[i] = string.char(97 + dice(8)) end
  local word = table.concat(letters)
  if not count[word] then order[#order + 1] = word end
  count[word] = (count[word] or 0) + 1
end
table.sort(order, function(a, b)
  if count[a] ~= count[b] then return count[a] > count[b] end
  return a < b
end)
print(#order, order[1], count[order[1]], order[#order])

local text = table.concat(order, " ")
local found = 0
for a, b in text:gmatch("(%a)(%a+)") do found = found + #a + 2 * #b end
print(#text, found, #text:gsub("%a+", function(w) return w:rep(3) end))

local function tree(depth)
  if depth == 0 then return { value = 1 } end
  return { left = tree(depth - 1), right = tree(depth - 1), value = depth }
end
local function sum(node)
  if not node.left then return node.value end
  return node.value + sum(node.left) + sum(node.right)
end
for depth = 4, 14, 2 do print(depth, sum(tree(depth))) end

local producers = {}
for i = 1, 2000 do
  producers[i] = coroutine.wrap(function()
    local kept = {}
    for k = 1, 5 do kept[k] = ("%d:%d"):format(i, k):rep(k); coroutine.yield(#kept[k]) end
  end)
end
local total = 0
for _ = 1, 5 do for i = 1, #producers do total = total + producers[i]() end end
print(total)

local weak, kept = setmetatable({}, { __mode = "v" }), {}
for i = 1, 20000 do
  weak[i] = { i }
  if i % 10 == 0 then kept[#kept + 1] = weak[i] end
end
producers = nil
collectgarbage()
local alive = 0
for i = 1, 20000 do if weak[i] then alive = alive + 1 end end
print(#kept, alive)
print(collectgarbage("count") > 100, select(2, pcall(error, { code = 7 })).code)
collectgarbage("generational")
local ring = {}
for i = 1, 1000000 do ring[i % 1000 + 1] = { i, tostring(i) } end
print(ring[1][2], ring[1000][1])
