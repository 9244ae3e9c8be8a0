#pragma once

// What errors and warnings tell to write, beside what the user had, on small models.

#include <natgrad/curvatures.h>
#include <natgrad/likelihoods.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace natgrad::testing::advice {

using torch::Tensor;

inline constexpr int64_t kExamples = 256, kBatch = 64;

/// Of all examples' rows those of the k-th mini-batch; after the last one the first comes again.
inline Tensor rows(const Tensor& data, int64_t k) {
  return data.narrow(0, k * kBatch % kExamples, kBatch);
}

using Loss = std::function<Tensor(int64_t batch)>;

struct Model {
  std::vector<Tensor> parameters;
  Loss loss;     ///< as the user had it
  Loss advised;  ///< as the advice has it
  NaturalGradientOptions options = {};
};

struct Case {
  const char* name;
  Model (*make)();
};

inline std::ostream& operator<<(std::ostream& out, const Case& advised) {
  return out << advised.name;
}

/// inputs-32-outputs with tanh.
inline torch::nn::Sequential mlp(int64_t inputs, int64_t outputs) {
  using namespace torch::nn;
  // Arguments of one call would be drawn in an order that is the compiler's.
  const Linear last(32, outputs), first(inputs, 32);
  return Sequential(first, Tanh(), last);
}

/// The loss as it is, where nothing better is known.
inline Model left_alone(Model model) {
  model.advised = model.loss;
  return model;
}

using Mark = std::function<Tensor(const Tensor& z)>;

inline Mark forward_of(torch::nn::Sequential net) {
  return [net](const Tensor& x) mutable { return net->forward(x); };
}

/// The loss as a function of a network's outputs and of the mini-batch, without and with a mark.
inline Model marked(torch::nn::Sequential net, const Mark& mark,
                    const std::function<Tensor(const Mark& forward, int64_t k)>& loss) {
  const auto plain = forward_of(net);
  const Mark with_mark = [plain, mark](const Tensor& x) { return mark(plain(x)); };
  return {net->parameters(), [=](int64_t k) { return loss(plain, k); },
          [=](int64_t k) { return loss(with_mark, k); }};
}

inline Tensor mark_alone(const Tensor& z) { return outputs(z); }

/// As outputs(Family(z, arguments...)).
template <class Family>
Mark named() {
  return [](const Tensor& z) { return outputs(Family(z)); };
}

}  // namespace natgrad::testing::advice

namespace natgrad::testing::advice_margins_test {
std::vector<advice::Case> cases();
}
namespace natgrad::testing::advice_distributions_test {
std::vector<advice::Case> cases();
}
