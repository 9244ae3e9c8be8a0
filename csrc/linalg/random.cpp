#include <ATen/CPUGeneratorImpl.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

at::Generator make_generator(uint64_t seed, uint64_t stream) {
  // The golden ratio's bits keep neighbouring (seed, stream) pairs apart.
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;
  return at::make_generator<at::CPUGeneratorImpl>(seed + kGolden * stream);
}

Tensor random_signs_like(const Tensor& t, at::Generator& generator) {
  torch::NoGradGuard no_grad;
  // random_(0, 2) draws one number an element; bernoulli_ sets up a generator of its own first.
  const auto coins =
      torch::empty(t.sizes(), t.options().device(torch::kCPU)).random_(0, 2, generator);
  const auto signs = coins.mul_(2).sub_(1);
  return t.is_cpu() ? signs : signs.to(t.device());
}

Tensor random_normal(torch::IntArrayRef shape, const torch::TensorOptions& options,
                     at::Generator& generator) {
  torch::NoGradGuard no_grad;
  return torch::randn(shape, generator, options.device(torch::kCPU)).to(options.device());
}

}  // namespace natgrad
