// Ops that hide something from a second derivative, each with the same in ops that do not.

#include <torch/torch.h>

#include "fuzz/network_ops.h"
#include "support/opaque_ops.h"

namespace natgrad::testing::fuzz {

namespace {

using W = Workshop;
using T = const Tensor&;

bool is_plain(const W& w) { return w.form == Form::Plain; }

/// sin(x), with a backward pass as it should be.
struct SoundSine : torch::autograd::Function<SoundSine> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return x.sin();
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list gradients) {
    return {context->get_saved_variables()[0].cos() * gradients[0]};
  }
};

/// (x, y) -> (x y, x + y), one of whose results may go unused.
struct SoundPair : torch::autograd::Function<SoundPair> {
  static torch::autograd::tensor_list forward(torch::autograd::AutogradContext* context,
                                              const Tensor& x, const Tensor& y) {
    context->save_for_backward({x, y});
    return {x * y, x + y};
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    return {saved[1] * gradients[0] + gradients[1], saved[0] * gradients[0] + gradients[1]};
  }
};

Tensor bag(W& w, T a, uint64_t k) {
  const auto table = w.parameter({4, a.size(1)}, k);
  const auto words = w.classes({w.examples() * 2}, 4, k);
  if (is_plain(w)) return torch::embedding(table, words.view({w.examples(), 2})).sum(1) + a;
  return std::get<0>(torch::embedding_bag(table, words, torch::arange(w.examples()) * 2)) + a;
}

Tensor distances(W& w, T a) {
  const auto x = a.unsqueeze(2), y = (a + 1).unsqueeze(2);  // [N, w, 1]
  if (is_plain(w)) return (x.unsqueeze(2) - y.unsqueeze(1)).norm(2, 3);
  return torch::cdist(x, y);
}

Tensor attention(W& w, T a) {
  const auto x = torch::stack({a, a.flip(1)}, 1).unsqueeze(1);  // [N, 1, 2, w]
  if (!is_plain(w)) return at::scaled_dot_product_attention(x, x, x);
  const auto scores = x.matmul(x.transpose(2, 3)) / std::sqrt(static_cast<double>(a.size(1)));
  return scores.softmax(-1).matmul(x);
}

/// What a backward pass needs, changed after it was saved.
Tensor spoilt(W& w, T a) {
  auto result = a.tanh();
  const auto used = result * 1.25;
  if (!is_plain(w)) result.add_(1);
  return used;
}

}  // namespace

std::vector<NetworkOp> opaque_ops() {
  return {
      {"sound sine", [](W&, T a, T, uint64_t) { return SoundSine::apply(a); }},
      {"sound pair",
       [](W&, T a, T, uint64_t k) {
         const auto both = SoundPair::apply(a, a.cos());
         return k % 3 == 0 ? both[0] : k % 3 == 1 ? both[1] : both[0] + 0.5 * both[1];
       }},
      {"detaching square",
       [](W& w, T a, T, uint64_t) { return is_plain(w) ? a * a : DetachingSquare::apply(a); }},
      {"sine of raw data",
       [](W& w, T a, T, uint64_t) { return is_plain(w) ? a.sin() : RawDataSine::apply(a); }},
      {"half detached triple",
       [](W& w, T a, T, uint64_t) { return is_plain(w) ? 3 * a : HalfDetachedTriple::apply(a); }},
      {"embedding_bag", [](W& w, T a, T, uint64_t k) { return bag(w, a, k); }},
      {"cdist", [](W& w, T a, T, uint64_t) { return distances(w, a); }},
      {"attention by one op", [](W& w, T a, T, uint64_t) { return attention(w, a); }},
      {"spoilt in place", [](W& w, T a, T, uint64_t) { return spoilt(w, a); }},
  };
}

}  // namespace natgrad::testing::fuzz
