#include "support/comparisons.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include "support/json.h"

namespace examples {
namespace {

// Rounding: seen up to 1e-13.
constexpr double kEqual = 1e-10;
// Far above rounding: what differs does so by its nature.
constexpr double kDifferent = 1e-3;

void print_those(const std::vector<Comparison>& comparisons, bool equal) {
  for (const auto& c : comparisons) {
    if (c.equal != equal) continue;
    const auto claim = fmt::format("{} {} {}", c.left, equal ? "=" : "≠", c.right);
    fmt::print("  {:<30}{:<58}{:>8.1e}  {}\n", c.outputs, claim, c.difference, c.verdict());
  }
}

}  // namespace

bool Comparison::confirmed() const {
  return equal ? difference <= kEqual : difference >= kDifferent;
}

std::string Comparison::verdict() const {
  if (confirmed()) return equal ? "OK" : "DIFFERS, as it must";
  return equal ? "DIFFERS, but must be equal" : "EQUAL, but must differ";
}

double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

void print_comparisons(const std::vector<Comparison>& comparisons) {
  fmt::print("\nEqual, as theory says: relative difference at most {:.0e}\n", kEqual);
  print_those(comparisons, true);
  fmt::print("\nNot equal, as theory says: relative difference at least {:.0e}\n", kDifferent);
  print_those(comparisons, false);
}

void write_findings(const std::string& path, const std::string& title,
                    const std::vector<Picture>& pictures,
                    const std::vector<Comparison>& comparisons) {
  Json json = {{"title", title}, {"equal", kEqual}};
  for (const auto& picture : pictures) {
    json["matrices"].push_back({{"title", picture.title}, {"values", to_json(picture.matrix)}});
  }
  for (const auto& c : comparisons) {
    json["comparisons"].push_back({{"outputs", c.outputs},
                                   {"left", c.left},
                                   {"right", c.right},
                                   {"equal", c.equal},
                                   {"difference", c.difference}});
  }
  write_json(path, json);
}

}  // namespace examples
