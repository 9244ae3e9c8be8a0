#include "fisher_ggn/networks.h"

#include <torch/torch.h>

#include <algorithm>
#include <memory>

namespace examples {

namespace nn = torch::nn;
using torch::Tensor;

namespace {

/// 16 numbers, two layers of tanh units.
nn::Sequential mlp(int64_t width, int64_t outputs) {
  return nn::Sequential(nn::Linear(16, width), nn::Tanh(), nn::Linear(width, width), nn::Tanh(),
                        nn::Linear(width, outputs));
}

/// Pictures of 12 x 12, two convolutions, means over 2 x 2.
nn::Sequential conv(int64_t width, int64_t outputs) {
  const auto layer = [](int64_t from, int64_t to) {
    return nn::Conv2d(nn::Conv2dOptions(from, to, 3).padding(1));
  };
  return nn::Sequential(layer(1, width), nn::Tanh(), nn::AvgPool2d(2), layer(width, 2 * width),
                        nn::Tanh(), nn::AvgPool2d(2), nn::Flatten(),
                        nn::Linear(2 * width * 9, outputs));
}

/// Sequences of 10 steps of 4 numbers through an LSTM, whose last state is read.
struct RecurrentImpl : nn::Module {
  RecurrentImpl(int64_t width, int64_t outputs)
      : lstm(register_module("lstm", nn::LSTM(nn::LSTMOptions(4, width).batch_first(true)))),
        head(register_module("head", nn::Linear(width, outputs))) {}
  Tensor forward(const Tensor& x) {
    return head->forward(std::get<0>(lstm->forward(x)).select(1, -1));
  }
  nn::LSTM lstm;
  nn::Linear head;
};
TORCH_MODULE(Recurrent);

/// 8 tokens of 6 numbers through a transformer's encoder layer of two heads; means over tokens.
struct AttentionImpl : nn::Module {
  AttentionImpl(int64_t width, int64_t outputs)
      : embedding(register_module("embedding", nn::Linear(6, width))),
        layer(register_module(
            "layer", nn::TransformerEncoderLayer(nn::TransformerEncoderLayerOptions(width, 2)
                                                     .dim_feedforward(2 * width)
                                                     .dropout(0)
                                                     .activation(torch::kGELU)))),
        head(register_module("head", nn::Linear(width, outputs))) {}
  Tensor forward(const Tensor& x) {
    return head->forward(layer->forward(embedding->forward(x).transpose(0, 1)).mean(0));
  }
  nn::Linear embedding;
  nn::TransformerEncoderLayer layer;
  nn::Linear head;
};
TORCH_MODULE(Attention);

struct Built {
  std::function<Tensor(const Tensor& x)> forward;
  std::shared_ptr<nn::Module> module;
};

template <class Holder>
Built built(Holder network) {
  return {[network](const Tensor& x) mutable { return network->forward(x); }, network.ptr()};
}

/// A line of the table of networks.
struct Architecture {
  std::string name;
  std::vector<int64_t> inputs;  ///< of one example
  int64_t width_unit;           ///< widths are multiples of it
  std::function<Built(int64_t width, int64_t outputs)> make;
};

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> all{
      {"mlp", {16}, 1, [](int64_t w, int64_t k) { return built(mlp(w, k)); }},
      {"conv", {1, 12, 12}, 1, [](int64_t w, int64_t k) { return built(conv(w, k)); }},
      {"recurrent", {10, 4}, 1, [](int64_t w, int64_t k) { return built(Recurrent(w, k)); }},
      {"attention", {8, 6}, 2, [](int64_t w, int64_t k) { return built(Attention(w, k)); }},
  };
  return all;
}

const Architecture& architecture_named(const std::string& name) {
  const auto found = std::ranges::find(architectures(), name, &Architecture::name);
  TORCH_CHECK(found != architectures().end(), "there is no network ", name, ".");
  return *found;
}

}  // namespace

int64_t Network::weights() const {
  int64_t count = 0;
  for (const auto& parameter : parameters) count += parameter.numel();
  return count;
}

const std::vector<std::string>& network_names() {
  static const auto names = [] {
    std::vector<std::string> all;
    for (const auto& architecture : architectures()) all.push_back(architecture.name);
    return all;
  }();
  return names;
}

Network make_network(const std::string& name, int64_t width, const Shape& shape) {
  const auto& architecture = architecture_named(name);
  TORCH_CHECK(width % architecture.width_unit == 0, "the width of ", name,
              " has to be a multiple of ", architecture.width_unit, ", but is ", width, ".");
  const auto network = architecture.make(width, shape.outputs);
  network.module->to(shape.dtype);
  auto size = architecture.inputs;
  size.insert(size.begin(), shape.examples);
  const auto x = torch::randn(size, shape.dtype);
  return {[network, x] { return network.forward(x); }, network.module->parameters()};
}

int64_t width_of(const std::string& name, int64_t weights, const Shape& shape) {
  const int64_t unit = architecture_named(name).width_unit;
  const auto fits = [&](int64_t units) {
    return make_network(name, units * unit, shape).weights() <= weights;
  };
  TORCH_CHECK(fits(1), name, " has more than ", weights, " weights at any width.");
  int64_t low = 1, high = 2;
  while (fits(high)) low = high, high *= 2;
  while (high - low > 1) {
    const auto middle = (low + high) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low * unit;
}

}  // namespace examples
