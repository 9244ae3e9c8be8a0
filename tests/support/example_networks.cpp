#include "support/example_networks.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>

#include "support/example_network_parts.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing {
namespace {

using namespace example_network_parts;
using Parameters = std::vector<Tensor>;

// ---- Linear layers. ----

ExampleNetwork perceptron() {
  const auto w = parameter({6, 4}, 1), b = parameter({6}, 2);
  const auto v = parameter({kClasses, 6}, 3), c = parameter({kClasses}, 4);
  return {{w, b, v, c}, vectors(), [=](const Tensor& x) {
            return torch::linear(torch::linear(x, w, b).tanh(), v, c);
          }};
}

ExampleNetwork products_by_hand() {
  const auto w = parameter({4, 6}, 11), b = parameter({6}, 12);
  const auto v = parameter({kClasses, 6}, 13), c = parameter({1, kClasses}, 14);
  return {{w, b, v, c}, vectors(), [=](const Tensor& x) {
            return (x.mm(w) + b).tanh().mm(v.transpose(0, 1)) + c;
          }};
}

ExampleNetwork addmm_either_way() {
  const auto w = parameter({4, 6}, 21), b = parameter({6}, 22);
  const auto v = parameter({kClasses, 6}, 23), c = parameter({kClasses}, 24);
  return {{w, b, v, c}, vectors(), [=](const Tensor& x) {
            return torch::addmm(c, torch::addmm(b, x, w).tanh(), v.permute({1, 0}));
          }};
}

ExampleNetwork tied_weights() {
  const auto w = parameter({6, 4}, 31), b = parameter({4}, 32);
  return {{w, b}, vectors(), [=](const Tensor& x) {
            const auto h = (x.mm(w.t()).tanh().mm(w) + b).tanh();
            return mixed(torch::linear(h + b, w));
          }};
}

ExampleNetwork without_biases() {
  const auto w = parameter({6, 4}, 41), v = parameter({kClasses, 6}, 42);
  return {{w, v}, vectors(), [=](const Tensor& x) {
            return torch::linear(torch::linear(x, w).relu(), v);
          }};
}

ExampleNetwork frozen_weight() {
  const auto w = parameter({6, 4}, 51), frozen = randn({6, 6}, 52), b = parameter({6}, 53);
  const auto unused = parameter({2}, 54);
  return {{w, b, unused}, vectors(), [=](const Tensor& x) {
            return mixed(torch::linear(torch::linear(x, w).tanh(), frozen, b));
          }};
}

ExampleNetwork input_with_gradient() {
  auto network = perceptron();
  network.x.requires_grad_();
  return network;
}

ExampleNetwork two_towers() {
  const auto w = parameter({6, 4}, 61), b = parameter({6}, 62);
  return {{w, b}, vectors(), [=](const Tensor& x) {
            const auto left = torch::linear(x, w, b).tanh(), right = torch::linear(x.sin(), w, b);
            return mixed(left * right + left);
          }};
}

// ---- Rows that are not examples. ----

ExampleNetwork linear_on_sequences() {
  const auto w = parameter({6, 4}, 71), b = parameter({6}, 72), v = parameter({2, 6}, 73);
  return {{w, b, v}, sequences(3, 4), [=](const Tensor& x) {
            return mixed(torch::linear(torch::linear(x, w, b).tanh(), v));
          }};
}

ExampleNetwork flattened_sequences() {
  const auto w = parameter({4, 6}, 81), b = parameter({6}, 82);
  return {{w, b}, sequences(3, 4), [=](const Tensor& x) {
            return mixed((x.reshape({-1, 4}).mm(w) + b).reshape({x.size(0), -1}));
          }};
}

/// As many time steps as examples: shapes alone do not tell them apart.
ExampleNetwork time_before_batch() {
  const auto w = parameter({6, 4}, 91), b = parameter({6}, 92), v = parameter({2, 6}, 93);
  return {{w, b, v}, sequences(kBatch, 4), [=](const Tensor& x) {
            const auto h = torch::linear(x.transpose(0, 1), w, b).tanh();
            return mixed(torch::linear(h.contiguous(), v).transpose(0, 1));
          }};
}

ExampleNetwork unrolled_recurrence() {
  const auto w = parameter({6, 4}, 101), u = parameter({6, 6}, 102, 0.5), b = parameter({6}, 103);
  return {{w, u, b}, sequences(4, 4), [=](const Tensor& x) {
            auto h = torch::zeros({x.size(0), 6}, torch::kDouble);
            for (int64_t t = 0; t < 4; ++t) h = (x.select(1, t).mm(w.t()) + h.mm(u.t()) + b).tanh();
            return mixed(h);
          }};
}

template <class Module>
ExampleNetwork module_on_sequences(Module module, bool batch_first, uint64_t seed) {
  auto generator = seeded(seed);
  module->to(torch::kDouble);
  const torch::NoGradGuard no_grad;
  for (auto& p : module->parameters()) p.normal_(0, 0.6, generator);
  return {module->parameters(), sequences(3, 4), [=](const Tensor& x) mutable {
            if (batch_first) return mixed(std::get<0>(module->forward(x)));
            return mixed(std::get<0>(module->forward(x.transpose(0, 1))).transpose(0, 1));
          }};
}

ExampleNetwork lstm() {
  return module_on_sequences(torch::nn::LSTM(torch::nn::LSTMOptions(4, 5)), false, 111);
}

ExampleNetwork gru_batch_first() {
  const auto options = torch::nn::GRUOptions(4, 5).batch_first(true).num_layers(2);
  return module_on_sequences(torch::nn::GRU(options), true, 112);
}

ExampleNetwork attention() {
  const auto q = parameter({4, 4}, 121), k = parameter({4, 4}, 122), v = parameter({2, 4}, 123);
  return {{q, k, v}, sequences(kBatch, 4), [=](const Tensor& x) {
            const auto scores = torch::linear(x, q).bmm(torch::linear(x, k).transpose(1, 2));
            return mixed((scores / 2).softmax(-1).bmm(torch::linear(x, v)));
          }};
}

/// Rows in an order of their own.
ExampleNetwork batch_turned_over() {
  const auto w = parameter({6, 4}, 131), v = parameter({kClasses, 6}, 132);
  return {{w, v}, vectors(), [=](const Tensor& x) {
            return torch::linear(torch::linear(x, w).tanh().flip(0), v).flip(0);
          }};
}

ExampleNetwork learned_start() {
  const auto start = parameter({1, 6}, 141), u = parameter({6, 6}, 142, 0.5);
  const auto w = parameter({6, 4}, 143);
  return {{start, u, w}, vectors(), [=](const Tensor& x) {
            auto h = (torch::linear(start, u) + torch::linear(x, w)).tanh();
            return mixed(torch::linear(h, u).add_(start));
          }};
}

// ---- Convolutions. ----

template <class Convolution>
ExampleNetwork convolution(const Tensor& x, at::IntArrayRef weight, int64_t outputs,
                           Convolution convolve) {
  const auto w = parameter(weight, 201, 0.5), b = parameter({outputs}, 202);
  return {{w, b}, x, [=](const Tensor& input) { return mixed(convolve(input, w, b)); }};
}

ExampleNetwork conv1d() {
  return convolution(sequences(4, 9), {6, 2, 3}, 6, [](auto& x, auto& w, auto& b) {
    return torch::conv1d(x, w, b, /*stride=*/2, /*padding=*/1, /*dilation=*/2, /*groups=*/2);
  });
}

ExampleNetwork conv2d() {
  return convolution(images(2, 6), {3, 2, 3, 2}, 3,
                     [](auto& x, auto& w, auto& b) { return torch::conv2d(x, w, b); });
}

ExampleNetwork conv2d_of_all_options() {
  using Sizes = std::array<int64_t, 2>;
  return convolution(images(4, 8), {6, 2, 3, 2}, 6, [](auto& x, auto& w, auto& b) {
    return torch::conv2d(x, w, b, Sizes{2, 3}, Sizes{1, 2}, Sizes{2, 1}, /*groups=*/2);
  });
}

ExampleNetwork depthwise() {
  return convolution(images(3, 5), {6, 1, 2, 2}, 6, [](auto& x, auto& w, auto& b) {
    return torch::conv2d(x, w, b, 1, torch::IntArrayRef{0}, 1, /*groups=*/3);
  });
}

ExampleNetwork conv2d_same() {
  return convolution(images(2, 5), {3, 2, 4, 3}, 3, [](auto& x, auto& w, auto& b) {
    return torch::conv2d(x, w, b, 1, "same", /*dilation=*/2);
  });
}

ExampleNetwork conv3d() {
  return convolution(randn({kBatch, 2, 5, 4, 4}, 203), {4, 1, 2, 3, 2}, 4,
                     [](auto& x, auto& w, auto& b) {
                       return torch::conv3d(x, w, b, /*stride=*/{2, 1, 1}, /*padding=*/{0, 1, 2},
                                            /*dilation=*/1, /*groups=*/2);
                     });
}

ExampleNetwork transposed1d() {
  return convolution(sequences(2, 5), {2, 3, 3}, 3, [](auto& x, auto& w, auto& b) {
    return torch::conv_transpose1d(x, w, b, /*stride=*/2, /*padding=*/1, /*output_padding=*/1);
  });
}

ExampleNetwork transposed2d() {
  return convolution(images(4, 4), {4, 3, 3, 2}, 6, [](auto& x, auto& w, auto& b) {
    return torch::conv_transpose2d(x, w, b, /*stride=*/{2, 3}, /*padding=*/{1, 0},
                                   /*output_padding=*/{1, 2}, /*groups=*/2, /*dilation=*/{2, 1});
  });
}

ExampleNetwork transposed3d() {
  return convolution(randn({kBatch, 2, 2, 3, 2}, 204), {2, 2, 2, 2, 3}, 2,
                     [](auto& x, auto& w, auto& b) { return torch::conv_transpose3d(x, w, b); });
}

ExampleNetwork convolution_of_frames() {
  return convolution(randn({kBatch, 3, 2, 5, 5}, 205), {3, 2, 3, 3}, 3,
                     [](auto& x, auto& w, auto& b) {
                       const auto maps = torch::conv2d(x.flatten(0, 1), w, b, 2);
                       return maps.unflatten(0, {-1, 3});
                     });
}

ExampleNetwork image_classifier() {
  const auto k = parameter({3, 1, 3, 3}, 211), b = parameter({3}, 212);
  const auto w = parameter({kClasses, 12}, 213, 0.5), c = parameter({kClasses}, 214);
  return {{k, b, w, c}, images(1, 6), [=](const Tensor& x) {
            const auto maps = torch::max_pool2d(torch::conv2d(x, k, b).relu(), 2);
            return torch::linear(maps.flatten(1), w, c);
          }};
}

// ---- Biases. ----

ExampleNetwork biases_of_all_shapes() {
  const auto channels = parameter({2, 1, 1}, 301), number = parameter({}, 302);
  const auto pixels = parameter({1, 2, 3, 3}, 303), columns = parameter({3}, 304);
  return {{channels, number, pixels, columns}, images(2, 3), [=](const Tensor& x) {
            return mixed((((x + channels).tanh() + number).sin() + pixels).tanh() + columns);
          }};
}

/// The product serves twice, without its bias too.
ExampleNetwork bias_on_one_of_two_paths() {
  const auto w = parameter({4, 6}, 311), b = parameter({6}, 312);
  return {{w, b}, vectors(), [=](const Tensor& x) {
            const auto s = x.mm(w);
            return mixed((s + b).tanh() + s);
          }};
}

/// As long as the product is wide, but added along another dimension.
ExampleNetwork bias_across_the_product() {
  const auto w = parameter({4, 6}, 331), b = parameter({6}, 332);
  return {{w, b}, vectors(), [=](const Tensor& x) { return mixed(x.mm(w).view({-1, 6, 1}) + b); }};
}

/// The bias and the product have different gradients.
ExampleNetwork bias_plus_twice_the_product() {
  const auto w = parameter({4, 6}, 321), b = parameter({6}, 322);
  return {{w, b}, vectors(), [=](const Tensor& x) { return mixed(torch::add(b, x.mm(w), 2)); }};
}

// ---- Normalisation that couples no examples. ----

ExampleNetwork normalised(std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)> norm) {
  const auto k = parameter({4, 2, 2, 2}, 401), gain = parameter({4}, 402), b = parameter({4}, 403);
  return {{k, gain, b}, images(2, 4), [=](const Tensor& x) {
            return mixed(norm(torch::conv2d(x, k), gain, b));
          }};
}

ExampleNetwork batch_norm_in_evaluation() {
  return normalised([](auto& s, auto& gain, auto& b) {
    const auto mean = randn({4}, 404), variance = randn({4}, 405).exp();
    return torch::batch_norm(s, gain, b, mean, variance, /*training=*/false, 0.1, 1e-5, false);
  });
}

ExampleNetwork group_norm() {
  return normalised([](auto& s, auto& gain, auto& b) { return torch::group_norm(s, 2, gain, b); });
}

ExampleNetwork instance_norm() {
  return normalised([](auto& s, auto& gain, auto& b) {
    return torch::instance_norm(s, gain, b, {}, {}, /*use_input_stats=*/true, 0.1, 1e-5, false);
  });
}

ExampleNetwork layer_norm() {
  const auto w = parameter({6, 4}, 411), gain = parameter({6}, 412), b = parameter({6}, 413);
  return {{w, gain, b}, vectors(), [=](const Tensor& x) {
            return mixed(torch::layer_norm(torch::linear(x, w), {6}, gain, b));
          }};
}

// ---- Parameters that are not a layer's own. ----

/// Of a bag the largest entry of each column.
ExampleNetwork bag_of_maxima() {
  const auto table = parameter({7, 4}, 538);
  return {{table}, words(), [=](const Tensor& x) {
            return mixed(std::get<0>(torch::embedding_bag(
                table, x.flatten(), 2 * torch::arange(x.size(0)), false, /*mode=*/2)));
          }};
}

ExampleNetwork computed_table() {
  const auto table = parameter({7, 4}, 539);
  return {
      {table}, words(), [=](const Tensor& x) { return mixed(torch::embedding(table.tanh(), x)); }};
}

ExampleNetwork weight_norm() {
  const auto direction = parameter({6, 4}, 501), length = parameter({6, 1}, 502);
  const auto v = parameter({kClasses, 6}, 503);
  return {{direction, length, v}, vectors(), [=](const Tensor& x) {
            const auto w = direction * (length / direction.norm(2, 1, true));
            return torch::linear(torch::linear(x, w).tanh(), v);
          }};
}

ExampleNetwork parts_of_a_tensor() {
  const auto both = parameter({9, 4}, 581), v = parameter({kClasses, 6}, 582);
  return {{both, v}, vectors(), [=](const Tensor& x) {
            const auto h = torch::linear(x, both.narrow(0, 0, 6)).tanh();
            return torch::linear(h, v) + torch::linear(x, both.narrow(0, 6, kClasses));
          }};
}

ExampleNetwork weight_on_the_left() {
  const auto w = parameter({6, 4}, 541), v = parameter({kClasses, 6}, 542);
  return {
      {w, v}, vectors(), [=](const Tensor& x) { return torch::linear(w.mm(x.t()).t().tanh(), v); }};
}

ExampleNetwork scaled_product() {
  const auto w = parameter({4, 6}, 551), b = parameter({6}, 552);
  return {{w, b}, vectors(), [=](const Tensor& x) {
            return mixed(torch::addmm(b, x, w, /*beta=*/2, /*alpha=*/0.5).add(b, 3));
          }};
}

ExampleNetwork gate_that_multiplies() {
  const auto w = parameter({6, 4}, 561), gate = parameter({6}, 562), scale = parameter({}, 563);
  return {{w, gate, scale}, vectors(), [=](const Tensor& x) {
            return mixed(torch::linear(x, w).tanh() * gate + gate) * scale.exp();
          }};
}

/// A product of two parameters, whose rows are no examples.
ExampleNetwork factored_weight() {
  const auto left = parameter({10, 5}, 571), right = parameter({4, 5}, 572);
  return {{left, right}, vectors(), [=](const Tensor& x) {
            return mixed(x.mm(torch::linear(left, right).t().tanh()));
          }};
}

}  // namespace

namespace {

std::vector<ExampleNetworkCase> networks_of_this_file() {
  return {
      {"Perceptron", perceptron, {true, true, true, true}, 2},
      {"ProductsByHand", products_by_hand, {true, true, true, true}, 3},
      {"AddmmEitherWay", addmm_either_way, {true, true, true, true}, 2},
      {"TiedWeights", tied_weights, {true, true}, 4},
      {"WithoutBiases", without_biases, {true, true}, 2},
      {"FrozenWeight", frozen_weight, {true, true, true}, 2},
      {"InputWithGradient", input_with_gradient, {true, true, true, true}, 2},
      {"TwoTowers", two_towers, {true, true}, 2},
      {"LinearOnSequences", linear_on_sequences, {true, true, true}, 2},
      {"FlattenedSequences", flattened_sequences, {true, true}, 1},
      {"TimeBeforeBatch", time_before_batch, {true, true, true}, 2},
      {"UnrolledRecurrence", unrolled_recurrence, {true, true, true}, 12},
      {"Lstm", lstm, {true, true, true, true}, 4},
      {"GruBatchFirst", gru_batch_first, std::vector<bool>(8, true), 8},
      {"Attention", attention, {true, true, true}, 3},
      {"BatchTurnedOver", batch_turned_over, {true, false}, 2},
      {"LearnedStart", learned_start, {false, false, true}, 3},
      {"Conv1d", conv1d, {true, true}, 1},
      {"Conv2d", conv2d, {true, true}, 1},
      {"Conv2dOfAllOptions", conv2d_of_all_options, {true, true}, 1},
      {"Depthwise", depthwise, {true, true}, 1},
      {"Conv2dSame", conv2d_same, {true, true}, 1},
      {"Conv3d", conv3d, {true, true}, 1},
      {"Transposed1d", transposed1d, {true, true}, 1},
      {"Transposed2d", transposed2d, {true, true}, 1},
      {"Transposed3d", transposed3d, {true, true}, 1},
      {"ConvolutionOfFrames", convolution_of_frames, {true, true}, 1},
      {"ImageClassifier", image_classifier, {true, true, true, true}, 2},
      {"BiasesOfAllShapes", biases_of_all_shapes, {true, true, true, true}, 4},
      {"BiasOnOneOfTwoPaths", bias_on_one_of_two_paths, {true, true}, 2},
      {"BiasAcrossTheProduct", bias_across_the_product, {true, true}, 2},
      {"BiasPlusTwiceTheProduct", bias_plus_twice_the_product, {true, true}, 2},
      {"BatchNormInEvaluation", batch_norm_in_evaluation, {true, true, true}, 3},
      {"GroupNorm", group_norm, {true, true, true}, 3},
      {"InstanceNorm", instance_norm, {true, false, false}, 1},
      {"LayerNorm", layer_norm, {true, true, true}, 3},
      {"BagOfMaxima", bag_of_maxima, {false}, 0, false},
      {"ComputedTable", computed_table, {false}, 0},
      {"WeightNorm", weight_norm, {false, false, true}, 1},
      {"PartsOfATensor", parts_of_a_tensor, {false, true}, 1},
      {"WeightOnTheLeft", weight_on_the_left, {false, true}, 1},
      {"ScaledProduct", scaled_product, {false, false}, 0},
      {"GateThatMultiplies", gate_that_multiplies, {true, false, false}, 1},
      {"FactoredWeight", factored_weight, {false, false}, 1},
  };
}

}  // namespace

const std::vector<ExampleNetworkCase>& example_networks() {
  static const auto table = [] {
    auto all = networks_of_this_file();
    for (auto& network : networks_of_tables()) all.push_back(std::move(network));
    return all;
  }();
  return table;
}

std::vector<ExampleNetworkCase> networks_of_layers() {
  std::vector<ExampleNetworkCase> chosen;
  for (const auto& network : example_networks()) {
    const auto& captured = network.captured;
    if (std::find(captured.begin(), captured.end(), false) == captured.end()) {
      chosen.push_back(network);
    }
  }
  return chosen;
}

}  // namespace natgrad::testing
