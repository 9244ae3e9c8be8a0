#include <natgrad/optim/sparse_initialisation.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad {
namespace {

using torch::Tensor;
namespace nn = torch::nn;

void check_options(const SparseInitialisation& options) {
  TORCH_CHECK(options.connections() >= 1,
              "natgrad: a unit has at least 1 connection, but got connections = ",
              options.connections(), ".");
  TORCH_CHECK(std::isfinite(options.scale()) && options.scale() > 0,
              "natgrad: the scale of the weights is finite and above 0, but it is ",
              options.scale(), ".");
  TORCH_CHECK(std::isfinite(options.bias()), "natgrad: the bias to start from is ", options.bias(),
              ", but has to be finite.");
}

/// W as [units, incoming].
Tensor sparse_weights(torch::IntArrayRef shape, at::Generator& generator,
                      const SparseInitialisation& options) {
  const auto units = shape[0], incoming = c10::multiply_integers(shape.slice(1));
  const auto connections = std::min(options.connections(), incoming);
  // The largest of random numbers stand at places chosen at random, all different.
  const auto places = torch::rand({units, incoming}, generator, torch::kDouble);
  const auto chosen = std::get<1>(places.topk(connections, /*dim=*/1));
  const auto drawn = random_normal({units, connections}, torch::kDouble, generator);
  return torch::zeros({units, incoming}, torch::kDouble)
      .scatter_(1, chosen, options.scale() * drawn);
}

template <typename Layer>
bool initialise(nn::Module& module, at::Generator& generator, const SparseInitialisation& options) {
  auto* layer = module.as<Layer>();
  if (layer == nullptr) return false;
  const auto sizes = layer->weight.sizes();
  layer->weight.copy_(sparse_weights(sizes, generator, options).view(sizes));
  if (layer->bias.defined()) layer->bias.fill_(options.bias());
  return true;
}

}  // namespace

void sparse_initialisation(nn::Module& module, at::Generator generator,
                           const SparseInitialisation& options) {
  const torch::NoGradGuard no_grad;
  check_options(options);
  int64_t layers = 0;
  module.apply([&](nn::Module& part) {
    layers += initialise<nn::LinearImpl>(part, generator, options) ||
              initialise<nn::Conv1dImpl>(part, generator, options) ||
              initialise<nn::Conv2dImpl>(part, generator, options) ||
              initialise<nn::Conv3dImpl>(part, generator, options);
  });
  TORCH_CHECK(layers > 0, "natgrad: ", module.name(),
              " has no linear or convolutional layer to initialise. Pass the module that holds "
              "them, after they are registered.");
}

}  // namespace natgrad
