#include <ATen/CPUGeneratorImpl.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// The golden ratio's bits keep neighbouring (seed, stream) pairs apart.
uint64_t seed_of(uint64_t seed, uint64_t stream) { return seed + 0x9E3779B97F4A7C15 * stream; }

/// Every bit of the result depends on all of x (the finaliser of Steele, Lea and Flood's
/// SplitMix64, 2014): the Mersenne twister is seeded by the lower half alone.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

at::Generator make_generator(uint64_t seed, uint64_t stream) {
  return at::make_generator<at::CPUGeneratorImpl>(seed_of(seed, stream));
}

RandomStreams::RandomStreams(uint64_t seed, uint64_t step) : seed_(seed_of(seed, step)) {}

RandomStreams::RandomStreams(const at::Generator& generator) : seed_(generator.current_seed()) {}

at::Generator RandomStreams::generator(Purpose purpose) const {
  return at::make_generator<at::CPUGeneratorImpl>(
      mix(seed_of(mix(seed_), static_cast<uint64_t>(purpose))));
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
