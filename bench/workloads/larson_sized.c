// larson_sized: larson as a C++ program does it, by operator new and the operator delete that is told the
// size. This asks for whether knowing the size helps, or costs. Link it with libstdc++.
#define SIZED 1
#include "larson.c"
