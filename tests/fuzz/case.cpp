#include "fuzz/case.h"

#include <fmt/format.h>

#include "fuzz/network_ops.h"
#include "fuzz/pieces.h"

namespace natgrad::testing::fuzz {

uint64_t Dice::next() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

namespace {

double random_factor(Dice& dice) {
  if (dice.below(12) == 0) return -0.5;
  if (dice.below(12) == 0) return 0;
  return 0.25 + 2 * dice.uniform();
}

}  // namespace

Case random_case(uint64_t seed) {
  Dice dice(seed);
  Case the_case;
  the_case.seed = dice.next() >> 1;
  the_case.examples = 1 + static_cast<int64_t>(dice.below(5));
  the_case.width = 1 + static_cast<int64_t>(dice.below(4));
  const auto steps = dice.below(7), pieces = 1 + dice.below(3) / 2 + dice.below(3) / 2;
  // Most steps and terms are sound ones: a graph with a part that is refused shows nothing else.
  for (uint64_t i = 0; i < steps; ++i) {
    const auto op = dice.below(8) == 0 ? dice.below(network_ops().size()) : dice.below(sound_ops());
    the_case.steps.push_back({op, dice.next() >> 1, dice.next() >> 1, dice.next() >> 1});
    if (dice.below(2) == 0) the_case.steps.back().a = i;  // the latest value
  }
  for (uint64_t i = 0; i < pieces; ++i) {
    const auto kind =
        dice.below(10) == 0 ? dice.below(piece_kinds().size()) : dice.below(readable_pieces());
    the_case.pieces.push_back({kind, dice.next() >> 1, dice.next() >> 1, random_factor(dice)});
    if (dice.below(2) == 0) the_case.pieces.back().on = steps;
  }
  if (dice.below(5) == 0) {
    the_case.penalties.push_back({dice.below(penalty_kinds().size()), dice.next() >> 1, 0.1});
  }
  the_case.wrapping = dice.below(6);
  the_case.optimizer = dice.next() >> 1;
  return the_case;
}

std::string describe(const Case& the_case) {
  auto text = fmt::format("{} examples of {} numbers, h0; numbers from {}\n", the_case.examples,
                          the_case.width, the_case.seed);
  for (size_t i = 0; i < the_case.steps.size(); ++i) {
    const auto& step = the_case.steps[i];
    text += fmt::format("  h{} = {}(h{}, h{}; {})\n", i + 1, network_ops()[step.op].name,
                        step.a % (i + 1), step.b % (i + 1), step.k);
  }
  const auto values = the_case.steps.size() + 1;
  for (size_t i = 0; i < the_case.pieces.size(); ++i) {
    const auto& piece = the_case.pieces[i];
    text +=
        fmt::format("  + {} {}(h{}; {}), whose z is h{}\n", piece.factor,
                    piece_kinds()[piece.kind].name, piece.on % (values + i), piece.k, values + i);
  }
  for (const auto& penalty : the_case.penalties) {
    text += fmt::format("  + {} {} of parameter {}\n", penalty.factor,
                        penalty_kinds()[penalty.kind].name, penalty.on);
  }
  return text + fmt::format("  wrapping {}, optimizer {}\n", the_case.wrapping, the_case.optimizer);
}

namespace {

/// Cases with one part less, or with a simpler number.
std::vector<Case> smaller(const Case& the_case) {
  std::vector<Case> all;
  const auto without = [&](auto Case::*parts, size_t least) {
    for (size_t i = 0; (the_case.*parts).size() > least && i < (the_case.*parts).size(); ++i) {
      all.push_back(the_case);
      auto& list = all.back().*parts;
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  without(&Case::pieces, 1);
  without(&Case::penalties, 0);
  without(&Case::steps, 0);
  const auto with = [&](auto change) {
    all.push_back(the_case);
    change(all.back());
  };
  if (the_case.wrapping != 0) with([](Case& c) { c.wrapping = 0; });
  if (the_case.examples > 1) with([](Case& c) { --c.examples; });
  if (the_case.width > 1) with([](Case& c) { --c.width; });
  for (size_t i = 0; i < the_case.pieces.size(); ++i) {
    if (the_case.pieces[i].factor != 1) with([i](Case& c) { c.pieces[i].factor = 1; });
    if (the_case.pieces[i].k > 1) with([i](Case& c) { c.pieces[i].k /= 2; });
  }
  for (size_t i = 0; i < the_case.steps.size(); ++i) {
    if (the_case.steps[i].k > 1) with([i](Case& c) { c.steps[i].k /= 2; });
  }
  return all;
}

}  // namespace

Case shrink(Case failing, const std::function<bool(const Case&)>& fails) {
  constexpr int kMost = 400;  // trials
  for (int trials = 0; trials < kMost;) {
    bool found = false;
    for (const auto& candidate : smaller(failing)) {
      if (++trials > kMost) break;
      if (!fails(candidate)) continue;
      failing = candidate;
      found = true;
      break;
    }
    if (!found) break;
  }
  return failing;
}

}  // namespace natgrad::testing::fuzz
