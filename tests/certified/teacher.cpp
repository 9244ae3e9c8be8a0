// A network that another one of its kind has made the data for: the minimum is zero, and is reached
// by some starts only.

#include <torch/torch.h>

#include <cmath>
#include <cstdint>

#include "certified/regression.h"

namespace certified {
namespace {

constexpr int64_t kInputs = 3, kHidden = 8, kExamples = 200, kStarts = 10;
constexpr int64_t kParameters = kHidden * kInputs + 2 * kHidden + 1;

/// The generator of the example in the C standard (7.22.2), by its 31 bits.
class Randoms {
 public:
  explicit Randoms(uint64_t seed) : state_(seed) {}
  /// In (0, 1).
  double uniform() {
    state_ = (1103515245 * state_ + 12345) % kPeriod;
    return (static_cast<double>(state_) + 0.5) / static_cast<double>(kPeriod);
  }
  /// Box and Muller's.
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * M_PI * uniform());
  }

 private:
  static constexpr uint64_t kPeriod = uint64_t{1} << 31;
  uint64_t state_;
};

Tensor filled(int64_t count, const std::function<double()>& next) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(next());
  return torch::tensor(values, torch::kDouble);
}

/// W [8, 3], b [8], v [8] and c one after the other in `parameters`.
Tensor network(const Tensor& parameters, const Tensor& x) {
  const auto pieces = parameters.split_with_sizes({kHidden * kInputs, kHidden, kHidden, 1});
  const auto hidden = x.mm(pieces[0].view({kHidden, kInputs}).t()) + pieces[1];
  return hidden.tanh().mv(pieces[2]) + pieces[3];
}

/// As `torch::nn::Linear` has it: uniform up to ±1/√(inputs).
Tensor start_of(int64_t k) {
  Randoms randoms(static_cast<uint64_t>(100 + k));
  const auto up_to = [&](double bound) {
    return [&randoms, bound] { return bound * (2 * randoms.uniform() - 1); };
  };
  return torch::cat({filled(kHidden * (kInputs + 1), up_to(1 / std::sqrt(double{kInputs}))),
                     filled(kHidden + 1, up_to(1 / std::sqrt(double{kHidden})))});
}

}  // namespace

Regression teacher_network(int64_t seed) {
  Randoms randoms(static_cast<uint64_t>(seed));
  const auto normal = [&] { return randoms.normal(); };
  const auto x = filled(kExamples * kInputs, normal).view({kExamples, kInputs});
  const auto y = network(filled(kParameters, normal), x);
  std::vector<Tensor> starts;
  for (int64_t k = 0; k < kStarts; ++k) starts.push_back(start_of(k));
  // The mean of the squares, as losses of networks are.
  const double weight = 1 / std::sqrt(double{kExamples});
  return {"teacher " + std::to_string(seed), starts,
          [=](const Tensor& b) { return weight * (network(b, x) - y); }};
}

}  // namespace certified
