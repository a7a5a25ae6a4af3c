# words.rb ROUNDS: prints the same every time.
require "digest"
require "set"
require "json"
def checksum(text) = Digest::SHA256.hexdigest(text)[0, 16]

rounds = ARGV[0].to_i
rounds.times do |round|
  words = (1..40_000).map { |i| "word#{(i * 7919 + round) % 10_007}" * (i % 5 + 1) }
  count = Hash.new(0)
  words.each { |word| count[word] += 1 }
  puts "#{count.size} #{checksum(count.sort.flatten.join(','))}"
  puts checksum(words.join(" ").gsub(/d(\d)(\d)/) { "#{$2}#{$1}" })
  puts checksum(JSON.generate(JSON.parse(JSON.generate(count.first(5000).to_h))))
  puts words.map(&:length).each_slice(7).map(&:sum).to_set.size
  results = (0...4).map do |t|
    Thread.new { (1..3000).map { |i| "#{t}-#{i}".rjust(i % 400 + 10, "*") }.select { |s| s.length.even? }.join.sum }
  end
  puts results.map(&:value).inspect
  producer = Fiber.new { 2000.times { |i| Fiber.yield("x" * (i % 3000)) }; nil }
  total = 0
  while (text = producer.resume) do total += text.length end
  puts total
  fibers = (0...300).map { |i| Fiber.new { Fiber.yield(i); i * 2 } }
  puts fibers.sum(&:resume) + fibers.sum(&:resume)
  GC.start
  GC.compact if GC.respond_to?(:compact)
end
puts checksum((1..2500).inject(:*).to_s)
puts (Array.new(2**60) rescue $!.class)
begin
  def deep(n) = deep(n + 1) + 1
  deep(0)
rescue SystemStackError => e
  puts e.class
end
system("echo", "a child") and puts IO.popen(["tr", "a-z", "A-Z"], "r+") { |p| p.write("pipe"); p.close_write; p.read }
