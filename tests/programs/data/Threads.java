import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import java.util.zip.*;

// Threads ROUNDS: prints the same every time.
public class Threads {
  static byte[] bytes(int size, int seed) {
    byte[] result = new byte[size];
    for (int i = 0, x = seed; i < size; i++) {
      x = x * 1103515245 + 12345;
      result[i] = (byte) (x >> 24 & 15);
    }
    return result;
  }

  static long packed(int seed) throws Exception {
    CRC32 sum = new CRC32();
    for (int i = 0; i < 60; i++) {
      byte[] data = bytes(seed * 997 % 5000 + i * 300, seed + i);
      Deflater deflater = new Deflater(i % 9 + 1);
      deflater.setInput(data);
      deflater.finish();
      byte[] small = new byte[data.length + 100];
      int length = deflater.deflate(small);
      deflater.end();
      Inflater inflater = new Inflater();
      inflater.setInput(small, 0, length);
      byte[] back = new byte[data.length];
      inflater.inflate(back);
      inflater.end();
      if (!Arrays.equals(data, back)) throw new IllegalStateException("differs");
      sum.update(back);
    }
    return sum.getValue();
  }

  static long direct(int seed) {
    long sum = 0;
    List<ByteBuffer> kept = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      ByteBuffer buffer = ByteBuffer.allocateDirect((seed * 31 + i * 619) % 20000 + 8);
      buffer.putLong(0, seed * 1000L + i);
      kept.add(buffer);
      if (kept.size() > 50) sum += kept.remove(i % 50).getLong(0);
    }
    return sum;
  }

  public static void main(String[] args) throws Exception {
    int rounds = Integer.parseInt(args[0]);
    for (int round = 0; round < rounds; round++) {
      ExecutorService pool = Executors.newFixedThreadPool(8);
      List<Future<Long>> results = new ArrayList<>();
      for (int i = 1; i <= 40; i++) {
        int seed = i + round;
        results.add(pool.submit(() -> packed(seed) + direct(seed)));
      }
      long sum = 0;
      for (Future<Long> result : results) sum = sum * 31 + result.get();
      pool.shutdown();
      System.out.println("pool " + sum);
      Thread[] shortLived = new Thread[200];
      long[] parts = new long[shortLived.length];
      for (int i = 0; i < shortLived.length; i++) {
        int n = i;
        shortLived[i] = new Thread(() -> parts[n] = direct(n));
        shortLived[i].start();
      }
      for (Thread thread : shortLived) thread.join();
      System.out.println("threads " + Arrays.stream(parts).sum());
      System.out.println("streams " + IntStream.range(0, 300000).parallel()
          .mapToObj(i -> "k" + i % 1009).collect(Collectors.groupingByConcurrent(s -> s, Collectors.counting()))
          .entrySet().stream().sorted(Map.Entry.comparingByKey()).map(Object::toString).collect(Collectors.joining()).hashCode());
    }
    try {
      System.out.println(new long[Integer.MAX_VALUE].length);
    } catch (OutOfMemoryError e) {
      System.out.println("OutOfMemoryError");
    }
  }
}
