// tree: pointer-rich structures of small nodes that are built, walked and freed as a whole.
// First a forest of binary trees with nodes of 32-96 bytes, where a random tree is cut down and a
// new one of another size grown in its place. Then bodies under gravity, whose octree (Barnes and
// Hut: cells of 96 bytes, leaves of 32) is built anew for each step. This asks for fast small
// blocks that lie together when they are allocated together, and for whole regions to become usable
// again.
//
//   tree [ROUNDS [TREES [NODES_MAX [BODIES [STEPS]]]]]
#include <string.h>

#include "workload.h"

// ---- the forest

typedef struct node {
  struct node* left;
  struct node* right;
  uint64_t key;
  uint64_t tail_count;  // words that follow, 0 .. 8
  uint64_t tail[];
} node_t;

static node_t* node_grow(rng_t* rng, size_t count) {
  if (count == 0) return NULL;
  const size_t tail_count = rng_below(rng, 9);
  const size_t left_count = rng_below(rng, count);
  node_t* const node = must_malloc(sizeof(node_t) + tail_count * sizeof(uint64_t));
  node->key = rng->state;
  node->tail_count = tail_count;
  for (size_t i = 0; i < tail_count; i++) node->tail[i] = rng->state + i;
  node->left = node_grow(rng, left_count);
  node->right = node_grow(rng, count - 1 - left_count);
  return node;
}

static uint64_t node_sum(const node_t* node) {
  if (node == NULL) return 0;
  const uint64_t tail = node->tail_count == 0 ? 0 : node->tail[node->tail_count - 1];
  return node->key + tail + 3 * node_sum(node->left) + 5 * node_sum(node->right);
}

static void node_cut(node_t* node) {
  if (node == NULL) return;
  node_cut(node->left);
  node_cut(node->right);
  free(node);
}

// Half of the trees are tiny and the others up to `nodes_max`, as in compilers and parsers.
static size_t draw_count(rng_t* rng, size_t nodes_max) {
  const size_t bound = rng_below(rng, 2) == 0 ? 32 : nodes_max;
  return 1 + rng_below(rng, bound);
}

static uint64_t forest(size_t rounds, size_t tree_count, size_t nodes_max) {
  rng_t rng = rng_seeded(tree_count);
  uint64_t sum = 0;
  node_t** const trees = must_malloc(tree_count * sizeof(node_t*));
  for (size_t i = 0; i < tree_count; i++) trees[i] = node_grow(&rng, draw_count(&rng, nodes_max));
  for (size_t i = 0; i < rounds; i++) {
    node_t** const tree = &trees[rng_below(&rng, tree_count)];
    sum += node_sum(*tree);
    node_cut(*tree);
    *tree = node_grow(&rng, draw_count(&rng, nodes_max));
  }
  for (size_t i = 0; i < tree_count; i++) node_cut(trees[i]);
  free(trees);
  return sum;
}

// ---- the bodies

typedef struct point {
  double x, y, z;
} point_t;

typedef struct body {
  point_t at, speed;
} body_t;

// A cell or, with `mass` of one body and without the part below, a leaf.
typedef struct cell {
  point_t centre;  // of mass
  double mass;     // a leaf has mass 1, a cell more than that
  struct cell* child[];
} cell_t;

enum { OCTANTS = 8 };
static const double GRAVITY = 1e-6, SOFTENING = 1e-4, OPENING = 1.0, SMALLEST = 1e-6;

static cell_t* leaf_make(point_t at) {
  cell_t* const leaf = must_malloc(sizeof(cell_t));
  *leaf = (cell_t){.centre = at, .mass = 1};
  return leaf;
}

// Moves `middle` to the middle of the child cell that `at` falls into; `half` is that child's half
// width.
static unsigned step_down(point_t* middle, double half, point_t at) {
  const unsigned octant =
      (at.x > middle->x ? 1u : 0u) | (at.y > middle->y ? 2u : 0u) | (at.z > middle->z ? 4u : 0u);
  middle->x += octant & 1 ? half : -half;
  middle->y += octant & 2 ? half : -half;
  middle->z += octant & 4 ? half : -half;
  return octant;
}

// Adds the body to the (sub)tree in `slot`, a cube around `middle`; a leaf there becomes a cell.
static void insert(cell_t** slot, point_t middle, double half, point_t at) {
  while (*slot != NULL) {
    cell_t* cell = *slot;
    if (cell->mass == 1) {
      if (half < SMALLEST) return;  // two bodies in one place: the second has no weight
      const size_t size = sizeof(cell_t) + OCTANTS * sizeof(cell_t*);
      cell_t* const opened = must_malloc(size);
      memset(opened, 0, size);
      *opened = (cell_t){.centre = cell->centre, .mass = cell->mass};
      point_t below = middle;
      opened->child[step_down(&below, half / 2, cell->centre)] = cell;
      *slot = cell = opened;
    }
    const double mass = cell->mass + 1;
    cell->centre.x += (at.x - cell->centre.x) / mass;
    cell->centre.y += (at.y - cell->centre.y) / mass;
    cell->centre.z += (at.z - cell->centre.z) / mass;
    cell->mass = mass;
    half /= 2;
    slot = &cell->child[step_down(&middle, half, at)];
  }
  *slot = leaf_make(at);
}

// Adds to `speed` the pull of the tree; what looks smaller than OPENING counts as one body.
static void pull(const cell_t* cell, double width, point_t at, point_t* speed) {
  const point_t way = {cell->centre.x - at.x, cell->centre.y - at.y, cell->centre.z - at.z};
  const double square = way.x * way.x + way.y * way.y + way.z * way.z + SOFTENING;
  if (cell->mass > 1 && width * width > OPENING * square) {
    for (unsigned i = 0; i < OCTANTS; i++) {
      if (cell->child[i] != NULL) pull(cell->child[i], width / 2, at, speed);
    }
    return;
  }
  const double force = GRAVITY * cell->mass / square;
  speed->x += force * way.x;
  speed->y += force * way.y;
  speed->z += force * way.z;
}

static void cell_free(cell_t* cell) {
  if (cell == NULL) return;
  if (cell->mass > 1) {
    for (unsigned i = 0; i < OCTANTS; i++) cell_free(cell->child[i]);
  }
  free(cell);
}

static double draw_unit(rng_t* rng) { return (double)(rng_next(rng) >> 11) * 0x1p-53; }

static uint64_t gravity(size_t body_count, size_t steps) {
  rng_t rng = rng_seeded(body_count);
  body_t* const bodies = must_malloc(body_count * sizeof(body_t));
  for (size_t i = 0; i < body_count; i++) {
    bodies[i] = (body_t){.at = {draw_unit(&rng), draw_unit(&rng), draw_unit(&rng)}};
  }
  for (size_t step = 0; step < steps; step++) {
    cell_t* root = NULL;
    for (size_t i = 0; i < body_count; i++) insert(&root, (point_t){.5, .5, .5}, 1, bodies[i].at);
    for (size_t i = step % 8; i < body_count; i += 8) {  // an eighth each step: we time the tree
      pull(root, 2, bodies[i].at, &bodies[i].speed);
    }
    for (size_t i = 0; i < body_count; i++) {
      body_t* const body = &bodies[i];
      body->at.x += body->speed.x;
      body->at.y += body->speed.y;
      body->at.z += body->speed.z;
    }
    cell_free(root);
  }
  uint64_t sum = 0;
  for (size_t i = 0; i < body_count; i++) {
    uint64_t bits = 0;
    memcpy(&bits, &bodies[i].at.x, sizeof bits);
    sum = sum * 31 + bits;
  }
  free(bodies);
  return sum;
}

int main(int argc, char** argv) {
  const size_t rounds = argument(argc, argv, 1, 4000);
  const size_t trees = argument(argc, argv, 2, 64);
  const size_t nodes_max = argument(argc, argv, 3, 10000);
  const size_t bodies = argument(argc, argv, 4, 20000);
  const size_t steps = argument(argc, argv, 5, 30);
  printf("forest %zu of %zu: %016llx\n", rounds, trees,
         (unsigned long long)forest(rounds, trees, nodes_max));
  printf("gravity %zu x %zu: %016llx\n", bodies, steps, (unsigned long long)gravity(bodies, steps));
  return rest();
}
