<?php // arrays.php ROUNDS: prints the same every time.
function checksum($text) { return substr(hash("sha256", $text), 0, 16); }
ini_set("memory_limit", "512M");
$rounds = (int)$argv[1];
for ($round = 0; $round < $rounds; $round++) {
  $words = [];
  for ($i = 0; $i < 60000; $i++) $words[] = str_repeat("w" . ($i * 7919 + $round) % 10007, $i % 5 + 1);
  $count = array_count_values($words);
  ksort($count);
  echo count($count), " ", checksum(json_encode($count)), "\n";
  echo checksum(preg_replace_callback('/w(\d)(\d)/', fn($m) => $m[2] . $m[1], implode(" ", $words))), "\n";
  echo checksum(serialize(unserialize(serialize($count)))), "\n";
  $kept = [];
  for ($i = 0; $i < 20000; $i++) $kept[$i % 700] = str_repeat(chr(65 + $i % 26), ($i * 997) % 9000);
  usort($kept, fn($a, $b) => [strlen($a), $a] <=> [strlen($b), $b]);
  echo checksum(implode($kept)), "\n";
  $generate = function ($n) { for ($i = 0; $i < $n; $i++) yield $i => new ArrayObject(range(0, $i % 50)); };
  $sum = 0;
  foreach ($generate(20000) as $object) $sum += $object->count();
  echo $sum, "\n";
  if (function_exists("gzcompress")) echo checksum(gzuncompress(gzcompress(implode($words)))), "\n";
  if (function_exists("token_get_all")) echo count(token_get_all(str_repeat('<?php f($a + 1); ?>', 1000))), "\n";
  if (function_exists("iconv")) echo checksum(iconv("UTF-8", "UTF-16LE", implode($words))), "\n";
}
for ($i = 0; $i < 30; $i++) $cycle[$i] = [&$cycle];
unset($cycle);
gc_collect_cycles();
echo strlen(str_repeat("x", 1 << 26)), "\n";
