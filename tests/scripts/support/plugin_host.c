// A C program that loads a C++ plugin, and with it the C++ runtime, for the plugin alone.

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  void* const plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (plugin == NULL) return 3;
  void* const symbol = dlsym(plugin, "plugin_run");
  int (*run)(void);
  memcpy(&run, &symbol, sizeof run);
  return run();
}
