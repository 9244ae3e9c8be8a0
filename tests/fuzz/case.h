#pragma once

// What a fuzz case is: numbers, from which a network and a loss are built. Any numbers will do, so
// a case stays one whatever is taken from it.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace natgrad::testing::fuzz {

/// Random numbers that are the same everywhere (splitmix64).
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t next();
  uint64_t below(uint64_t count) { return next() % count; }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

/// One op of the network, on values that earlier ones made, counted modulo how many there are.
struct Step {
  uint64_t op, a, b, k;
};

/// A term of the loss on one of the values.
struct Piece {
  uint64_t kind, on, k;
  double factor;
};

/// A part of the loss that depends on parameters alone.
struct Penalty {
  uint64_t kind, on;
  double factor;
};

struct Case {
  uint64_t seed = 0;  ///< of the numbers in it
  int64_t examples = 3, width = 3;
  std::vector<Step> steps;
  std::vector<Piece> pieces;
  std::vector<Penalty> penalties;
  uint64_t wrapping = 0;   ///< how the sum is written
  uint64_t optimizer = 0;  ///< whose steps are tried
};

Case random_case(uint64_t seed);
/// The case in words, a line for each of its parts.
std::string describe(const Case& the_case);
/// The smallest case that still fails, as far as leaving out parts of it leads.
Case shrink(Case failing, const std::function<bool(const Case&)>& fails);

}  // namespace natgrad::testing::fuzz
