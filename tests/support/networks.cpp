#include "support/networks.h"

#include "support/oracles.h"

namespace natgrad::testing {

Tensor parameter(at::IntArrayRef shape, uint64_t seed, double scale) {
  return (scale * randn(shape, seed)).requires_grad_();
}

Network tanh_network() {
  const auto x = randn({kExamples, 3}, 1);
  const auto w1 = parameter({5, 3}, 2, 0.7), b1 = parameter({5}, 3);
  const auto w2 = parameter({kOutputs, 5}, 4, 0.7), b2 = parameter({kOutputs}, 5);
  return {{w1, b1, w2, b2}, [=] { return torch::linear(torch::linear(x, w1, b1).tanh(), w2, b2); }};
}

namespace {

Network linear_network() {
  const auto x = randn({kExamples, 3}, 11);
  const auto w = parameter({kOutputs, 3}, 12), b = parameter({kOutputs}, 13);
  return {{w, b}, [=] { return torch::linear(x, w, b); }};
}

Network convolution_with_max_pool() {
  const auto x = randn({kExamples, 1, 6, 6}, 21);
  const auto kernel = parameter({2, 1, 3, 3}, 22), bias = parameter({2}, 23);
  const auto w = parameter({kOutputs, 8}, 24, 0.5);
  return {{kernel, bias, w}, [=] {
            const auto maps = torch::conv2d(x, kernel, bias).tanh();
            return torch::linear(torch::max_pool2d(maps, 2).flatten(1), w);
          }};
}

Network tied_weights() {
  const auto x = randn({kExamples, kOutputs}, 31);
  const auto w = parameter({5, kOutputs}, 32, 0.6);
  return {{w}, [=] { return x.mm(w.t()).tanh().mm(w); }};
}

Network frozen_layer_between() {
  const auto x = randn({kExamples, 3}, 41), frozen = randn({5, 4}, 42);
  const auto below = parameter({4, 3}, 43), above = parameter({kOutputs, 5}, 44);
  return {{below, above}, [=] {
            const auto hidden = torch::linear(x, below).tanh();
            return torch::linear(torch::linear(hidden, frozen).tanh(), above);
          }};
}

Network unused_parameters() {
  const auto used = tanh_network();
  auto parameters = used.parameters;
  parameters.insert(parameters.begin() + 1, parameter({2, 3}, 51));
  parameters.push_back(parameter({}, 52));
  return {parameters, used.forward};
}

Network zero_element_parameter() {
  const auto x = randn({kExamples, 3}, 61);
  const auto w = parameter({kOutputs, 3}, 62), empty = parameter({0, 3}, 63);
  const auto unused_empty = parameter({0}, 64);
  return {{empty, w, unused_empty}, [=] { return torch::linear(x, torch::cat({empty, w})).sin(); }};
}

Network scalar_parameters() {
  const auto x = randn({kExamples, kOutputs}, 71);
  const auto scale = parameter({}, 72), shift = parameter({}, 73);
  return {{scale, shift}, [=] { return (x * scale + shift.exp()).tanh(); }};
}

Network strided_parameters() {
  const auto x = randn({kExamples, 3}, 81);
  const auto transposed = randn({3, 5}, 82).t().requires_grad_();
  const auto every_second = randn({kOutputs, 10}, 83).slice(1, 0, 10, 2).requires_grad_();
  return {{transposed, every_second},
          [=] { return torch::linear(torch::linear(x, transposed).tanh(), every_second); }};
}

Network layer_norm() {
  const auto x = randn({kExamples, 3}, 91);
  const auto w1 = parameter({5, 3}, 92), gain = parameter({5}, 93), bias = parameter({5}, 94);
  const auto w2 = parameter({kOutputs, 5}, 95);
  return {{w1, gain, bias, w2}, [=] {
            return torch::linear(torch::layer_norm(torch::linear(x, w1), {5}, gain, bias), w2);
          }};
}

Network batch_norm_in_training() {
  const auto x = randn({kExamples, 3}, 101);
  const auto w1 = parameter({5, 3}, 102), gain = parameter({5}, 103), bias = parameter({5}, 104);
  const auto w2 = parameter({kOutputs, 5}, 105);
  return {{w1, gain, bias, w2}, [=] {
            const auto hidden = torch::batch_norm(torch::linear(x, w1), gain, bias, {}, {},
                                                  /*training=*/true, 0.1, 1e-5, false);
            return torch::linear(hidden.tanh(), w2);
          }};
}

Network embedding() {
  const auto words = torch::tensor({3, 0, 3, 6});  // one twice, most never
  const auto table = parameter({7, 4}, 111), w = parameter({kOutputs, 4}, 112);
  return {{table, w}, [=] { return torch::linear(torch::embedding(table, words).tanh(), w); }};
}

Network relu_at_its_kinks() {
  const auto x = randn({kExamples, 3}, 121);
  x[0].zero_();  // with zero biases, the pre-activations of example 0 are exactly zero
  const auto w1 = parameter({5, 3}, 122), b1 = parameter({5}, 123, 0.0);
  const auto w2 = parameter({kOutputs, 5}, 124), b2 = parameter({kOutputs}, 125);
  return {{w1, b1, w2, b2}, [=] { return torch::linear(torch::linear(x, w1, b1).relu(), w2, b2); }};
}

Network gelu_and_silu() {
  const auto x = randn({kExamples, 3}, 131);
  const auto w1 = parameter({5, 3}, 132), w2 = parameter({4, 5}, 133);
  const auto w3 = parameter({kOutputs, 4}, 134);
  return {{w1, w2, w3}, [=] {
            const auto hidden = torch::gelu(torch::linear(x, w1));
            return torch::linear(torch::silu(torch::linear(hidden, w2)), w3);
          }};
}

Network attention() {
  const auto x = randn({kExamples, 5, 3}, 141);
  const auto q = parameter({4, 3}, 142), k = parameter({4, 3}, 143);
  const auto v = parameter({kOutputs, 3}, 144);
  return {{q, k, v}, [=] {
            const auto scores = torch::linear(x, q).bmm(torch::linear(x, k).transpose(1, 2));
            return (scores / 2).softmax(-1).bmm(torch::linear(x, v)).mean(1);
          }};
}

Network log_softmax_inside() {
  const auto x = randn({kExamples, 3}, 151);
  const auto w1 = parameter({5, 3}, 152), w2 = parameter({kOutputs, 5}, 153);
  return {{w1, w2}, [=] { return torch::linear(torch::linear(x, w1).log_softmax(1), w2); }};
}

Network log_cumulative_sum() {
  const auto x = randn({kExamples, 3}, 161);
  const auto w = parameter({kOutputs, 3}, 162);
  return {{w}, [=] { return torch::linear(x, w).logcumsumexp(1); }};
}

Network the_outputs_themselves() {
  const auto z = parameter({kExamples, kOutputs}, 171);
  return {{z}, [=] { return z; }};
}

}  // namespace

const std::vector<NetworkCase>& networks() {
  static const std::vector<NetworkCase> table = {
      {"Tanh", tanh_network},
      {"Linear", linear_network},
      {"ConvolutionWithMaxPool", convolution_with_max_pool},
      {"TiedWeights", tied_weights},
      {"FrozenLayerBetween", frozen_layer_between},
      {"UnusedParameters", unused_parameters},
      {"ZeroElementParameter", zero_element_parameter},
      {"ScalarParameters", scalar_parameters},
      {"StridedParameters", strided_parameters},
      {"LayerNorm", layer_norm},
      {"BatchNormInTraining", batch_norm_in_training},
      {"Embedding", embedding},
      {"ReluAtItsKinks", relu_at_its_kinks},
      {"GeluAndSilu", gelu_and_silu},
      {"Attention", attention},
      {"LogSoftmaxInside", log_softmax_inside},
      {"LogCumulativeSum", log_cumulative_sum},
      {"TheOutputsThemselves", the_outputs_themselves},
  };
  return table;
}

}  // namespace natgrad::testing
