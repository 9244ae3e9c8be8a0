#include "support/comparisons.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <limits>

namespace examples {
namespace {

/// A part's line of the table.
struct Tally {
  std::string part;
  int64_t confirmed = 0, all = 0;
  double least_difference = std::numeric_limits<double>::infinity();
  double largest_equal = 0;

  void add(const Comparison& c) {
    ++all;
    confirmed += c.confirmed();
    if (c.equal) {
      largest_equal = c.difference > largest_equal || c.difference != c.difference ? c.difference
                                                                                   : largest_equal;
    } else {
      least_difference = std::min(least_difference, c.difference);
    }
  }
};

std::vector<Tally> tallies_of(const std::vector<Comparison>& comparisons) {
  std::vector<Tally> tallies;
  for (const auto& c : comparisons) {
    auto place = std::ranges::find(tallies, c.part, &Tally::part);
    if (place == tallies.end()) place = tallies.insert(tallies.end(), Tally{c.part});
    place->add(c);
  }
  return tallies;
}

}  // namespace

std::string Comparison::mark() const {
  return fmt::format("{:.1e} {}{}", difference, equal ? "=" : "≠", confirmed() ? "" : "!");
}

std::string Findings::must_be_equal(const std::string& part, const std::string& of,
                                    const std::string& left, const std::string& right,
                                    double difference, double bar) {
  return add({part, of, left, right, true, difference, bar});
}

std::string Findings::must_differ(const std::string& part, const std::string& of,
                                  const std::string& left, const std::string& right,
                                  double difference) {
  return add({part, of, left, right, false, difference, kDifferent});
}

std::string Findings::add(Comparison comparison) {
  comparisons_.push_back(std::move(comparison));
  return comparisons_.back().mark();
}

void Findings::print() const {
  fmt::print("\n{:<12}{:>16}{:>18}{:>16}\n", "part", "as theory says", "unequal: at least",
             "equal: at most");
  for (const auto& tally : tallies_of(comparisons_)) {
    fmt::print("{:<12}{:>8} / {:<5}{:>18.1e}{:>16.1e}\n", tally.part, tally.confirmed, tally.all,
               tally.least_difference, tally.largest_equal);
  }
  for (const auto& c : comparisons_) {
    if (c.confirmed()) continue;
    fmt::print("NOT as theory says: {}, {}: {} {} {}, but the difference is {:.1e} (bar {:.0e})\n",
               c.part, c.of, c.left, c.equal ? "=" : "≠", c.right, c.difference, c.bar);
  }
}

Json Findings::to_json() const {
  auto json = Json::array();
  for (const auto& c : comparisons_) {
    json.push_back({{"part", c.part},
                    {"of", c.of},
                    {"left", c.left},
                    {"right", c.right},
                    {"equal", c.equal},
                    {"difference", c.difference},
                    {"bar", c.bar},
                    {"confirmed", c.confirmed()}});
  }
  return json;
}

void Findings::check() const {
  TORCH_CHECK(std::ranges::all_of(comparisons_, &Comparison::confirmed),
              "not all came out as theory says; see the table.");
}

double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

}  // namespace examples
