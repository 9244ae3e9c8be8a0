#include "fuzz/network_ops.h"

#include <torch/torch.h>

namespace natgrad::testing::fuzz {

namespace F = torch::nn::functional;

namespace {

using W = Workshop;
using T = const Tensor&;

int64_t width_of(T a) { return a.size(1); }
int64_t some_width(uint64_t k) { return 1 + static_cast<int64_t>(k / 7 % 4); }

Tensor linear(W& w, T a, uint64_t k) {
  return F::linear(a, w.parameter({some_width(k), width_of(a)}, k));
}

/// As many columns of both.
std::pair<Tensor, Tensor> fitted(T a, T b) {
  const auto width = std::min(width_of(a), width_of(b));
  return {a.narrow(1, 0, width), b.narrow(1, 0, width)};
}

/// [N, 2, w]: two channels.
Tensor channels(T a) { return torch::stack({a, a.flip(1)}, 1); }
/// [N, 2, 2, w]: pictures.
Tensor pictures(T a) { return torch::stack({channels(a), channels(a.sin())}, 2); }

}  // namespace

std::vector<NetworkOp> layer_ops() {
  return {
      {"linear", [](W& w, T a, T, uint64_t k) { return linear(w, a, k); }},
      {"linear with bias",
       [](W& w, T a, T, uint64_t k) {
         const auto out = some_width(k);
         return F::linear(a, w.parameter({out, width_of(a)}, k), w.parameter({out}, k + 1));
       }},
      {"layer of tanh", [](W& w, T a, T, uint64_t k) { return linear(w, a, k).tanh(); }},
      {"matmul",
       [](W& w, T a, T, uint64_t k) {
         return torch::matmul(a, w.parameter({width_of(a), some_width(k)}, k));
       }},
      {"einsum",
       [](W& w, T a, T, uint64_t k) {
         return torch::einsum("ni,oi->no", {a, w.parameter({some_width(k), width_of(a)}, k)});
       }},
      {"tied matmul",
       [](W& w, T a, T, uint64_t k) {
         const auto p = w.parameter({some_width(k), width_of(a)}, k);
         return a.mm(p.t()).tanh().mm(p);
       }},
      {"addmv",
       [](W& w, T a, T, uint64_t k) {
         return torch::addmv(w.parameter({}, k).expand({a.size(0)}), a,
                             w.parameter({width_of(a)}, k + 1));
       }},
      {"conv1d",
       [](W& w, T a, T, uint64_t k) {
         return torch::conv1d(channels(a), w.parameter({2, 2, 3}, k), w.parameter({2}, k + 1),
                              1 + static_cast<int64_t>(k % 2), 1);
       }},
      {"conv2d of groups",
       [](W& w, T a, T, uint64_t k) {
         const int64_t groups = 1 + static_cast<int64_t>(k % 2);
         return torch::conv2d(pictures(a), w.parameter({2, 2 / groups, 2, 2}, k), {}, 1, 1, 1,
                              groups);
       }},
      {"conv_transpose1d",
       [](W& w, T a, T, uint64_t k) {
         return torch::conv_transpose1d(channels(a), w.parameter({2, 1, 2}, k));
       }},
      {"embedding",
       [](W& w, T a, T, uint64_t k) {
         const auto rows =
             torch::embedding(w.parameter({4, width_of(a)}, k), w.classes({w.examples(), 2}, 4, k));
         return rows.sum(1) + a;
       }},
      {"layer_norm",
       [](W& w, T a, T, uint64_t k) {
         return torch::layer_norm(a, {width_of(a)}, w.parameter({width_of(a)}, k),
                                  w.parameter({width_of(a)}, k + 1), 1e-2);
       }},
      {"group_norm",
       [](W& w, T a, T, uint64_t k) {
         return torch::group_norm(channels(a), 2, w.parameter({2}, k), {}, 1e-2);
       }},
      {"instance_norm",
       [](W& w, T a, T, uint64_t k) {
         const auto pairs = torch::cat({channels(a), channels(a.cos())}, 2);
         return torch::instance_norm(pairs, w.parameter({2}, k), {}, {}, {}, true, 0.1, 1e-2,
                                     false);
       }},
      {"batch_norm in evaluation",
       [](W& w, T a, T, uint64_t k) {
         const auto n = width_of(a);
         return torch::batch_norm(a, w.parameter({n}, k), w.parameter({n}, k + 1),
                                  torch::zeros({n}, a.options().requires_grad(false)),
                                  torch::ones({n}, a.options().requires_grad(false)), false, 0.1,
                                  1e-3, false);
       }},
      {"gru_cell",
       [](W& w, T a, T, uint64_t k) {
         const auto h = w.constant({w.examples(), 2}, k);
         return torch::gru_cell(a, h, w.parameter({6, width_of(a)}, k), w.parameter({6, 2}, k + 1),
                                w.parameter({6}, k + 2), w.parameter({6}, k + 3));
       }},
      {"attention by hand",
       [](W& w, T a, T, uint64_t k) {
         const auto x = channels(a), q = x.matmul(w.parameter({width_of(a), 2}, k));
         return torch::softmax(q.matmul(q.transpose(1, 2)) / 1.4, -1).matmul(q);
       }},
      {"bilinear",
       [](W& w, T a, T b, uint64_t k) {
         return torch::bilinear(a, b, w.parameter({2, width_of(a), width_of(b)}, k), {});
       }},
  };
}

std::vector<NetworkOp> elementwise_ops() {
  return {
      {"tanh", [](W&, T a, T, uint64_t) { return a.tanh(); }},
      {"sigmoid", [](W&, T a, T, uint64_t) { return a.sigmoid(); }},
      {"relu", [](W&, T a, T, uint64_t) { return a.relu(); }},
      {"leaky_relu", [](W&, T a, T, uint64_t) { return torch::leaky_relu(a); }},
      {"elu", [](W&, T a, T, uint64_t) { return torch::elu(a); }},
      {"gelu", [](W&, T a, T, uint64_t k) { return torch::gelu(a, k % 2 ? "tanh" : "none"); }},
      {"silu", [](W&, T a, T, uint64_t) { return torch::silu(a); }},
      {"mish", [](W&, T a, T, uint64_t) { return torch::mish(a); }},
      {"softplus", [](W&, T a, T, uint64_t) { return torch::softplus(a); }},
      {"hardtanh", [](W&, T a, T, uint64_t) { return torch::hardtanh(a); }},
      {"sin", [](W&, T a, T, uint64_t) { return a.sin(); }},
      {"exp", [](W&, T a, T, uint64_t) { return a.exp(); }},
      {"square", [](W&, T a, T, uint64_t) { return a.square(); }},
      {"abs", [](W&, T a, T, uint64_t) { return a.abs(); }},
      {"log1p of squares", [](W&, T a, T, uint64_t) { return torch::log1p(a * a); }},
      {"reciprocal", [](W&, T a, T, uint64_t) { return 1 / (1 + a.square()); }},
      {"erf", [](W&, T a, T, uint64_t) { return a.erf(); }},
      {"clamp", [](W&, T a, T, uint64_t) { return a.clamp(-0.8, 0.8); }},
      {"prelu", [](W& w, T a, T, uint64_t k) { return torch::prelu(a, w.parameter({1}, k)); }},
      {"scale", [](W& w, T a, T, uint64_t k) { return a * w.parameter({width_of(a)}, k); }},
      {"shift", [](W& w, T a, T, uint64_t k) { return a + w.parameter({width_of(a)}, k); }},
      {"scale by one", [](W& w, T a, T, uint64_t k) { return a * w.parameter({}, k); }},
      {"masked",
       [](W& w, T a, T, uint64_t k) { return a.masked_fill(w.constant(a.sizes(), k) > 0.5, 0.3); }},
      {"where",
       [](W& w, T a, T b, uint64_t k) {
         const auto [x, y] = fitted(a, b);
         return torch::where(w.constant(x.sizes(), k) > 0, x, y);
       }},
      {"product",
       [](W&, T a, T b, uint64_t) {
         const auto [x, y] = fitted(a, b);
         return x * y;
       }},
      {"residual sum",
       [](W&, T a, T b, uint64_t) {
         const auto [x, y] = fitted(a, b);
         return x + y;
       }},
      {"detached", [](W&, T a, T, uint64_t) { return a.detach(); }},
      {"half detached", [](W&, T a, T, uint64_t) { return 2 * a - a.detach(); }},
      {"dropout", [](W&, T a, T, uint64_t) { return torch::dropout(a, 0.3, true); }},
  };
}

std::vector<NetworkOp> shape_ops() {
  return {
      {"narrow", [](W&, T a, T, uint64_t) { return a.narrow(1, 0, (width_of(a) + 1) / 2); }},
      {"every second", [](W&, T a, T, uint64_t k) { return a.slice(1, 0, {}, 1 + k % 2); }},
      {"flip", [](W&, T a, T, uint64_t) { return a.flip(1); }},
      {"roll", [](W&, T a, T, uint64_t) { return a.roll(1, 1); }},
      {"cat",
       [](W&, T a, T b, uint64_t) {
         return torch::cat({a, b}, 1);
       }},
      {"stack and sum",
       [](W&, T a, T, uint64_t) {
         return torch::stack({a, a.sin()}).sum(0);
       }},
      {"chunks",
       [](W&, T a, T, uint64_t) {
         const auto parts = a.chunk(2, 1);
         return torch::cat({parts.back().tanh(), parts.front()}, 1);
       }},
      {"unbind",
       [](W&, T a, T, uint64_t) {
         auto columns = a.unbind(1);
         return torch::stack({columns.back(), columns.front().sigmoid()}, 1);
       }},
      {"repeat",
       [](W&, T a, T, uint64_t) {
         return a.repeat({1, 2});
       }},
      {"pad",
       [](W&, T a, T, uint64_t) {
         return torch::constant_pad_nd(a, {1, 1}, 0.5);
       }},
      {"permuted views",
       [](W&, T a, T, uint64_t) { return a.t().contiguous().tanh().t().unsqueeze(1).squeeze(1); }},
      {"index_select",
       [](W& w, T a, T, uint64_t k) { return a.index_select(1, w.classes({3}, width_of(a), k)); }},
      {"gather",
       [](W& w, T a, T, uint64_t k) {
         return a.gather(1, w.classes({w.examples(), 2}, width_of(a), k));
       }},
      {"examples in another order",
       [](W& w, T a, T, uint64_t) { return a.index({torch::arange(w.examples() - 1, -1, -1)}); }},
      {"parameter for all",
       [](W& w, T a, T, uint64_t k) {
         return w.parameter({width_of(a)}, k).expand({w.examples(), width_of(a)});
       }},
  };
}

std::vector<NetworkOp> mixing_ops() {
  return {
      {"softmax", [](W&, T a, T, uint64_t) { return a.softmax(1); }},
      {"log_softmax", [](W&, T a, T, uint64_t) { return a.log_softmax(1); }},
      {"softmax over examples", [](W&, T a, T, uint64_t) { return a.softmax(0); }},
      {"cumsum", [](W&, T a, T, uint64_t) { return a.cumsum(1); }},
      {"cumsum over examples", [](W&, T a, T, uint64_t) { return a.cumsum(0); }},
      {"cumprod", [](W&, T a, T, uint64_t) { return a.cumprod(1); }},
      {"logcumsumexp", [](W&, T a, T, uint64_t) { return a.logcumsumexp(1); }},
      {"logsumexp", [](W&, T a, T, uint64_t) { return a.logsumexp(1, true); }},
      {"mean of features", [](W&, T a, T, uint64_t) { return a - a.mean(1, true); }},
      {"mean of examples", [](W&, T a, T, uint64_t) { return a - a.mean(0, true); }},
      {"largest", [](W&, T a, T, uint64_t) { return a.amax(1, true); }},
      {"sorted", [](W&, T a, T, uint64_t) { return std::get<0>(a.sort(1)); }},
      {"max_pool", [](W&, T a, T, uint64_t) { return torch::max_pool1d(channels(a), 2, 1, 1); }},
      {"avg_pool", [](W&, T a, T, uint64_t) { return torch::avg_pool1d(channels(a), 2, 1, 1); }},
      {"unit length",
       [](W&, T a, T, uint64_t) { return F::normalize(a + 0.1, F::NormalizeFuncOptions()); }},
      {"norm", [](W&, T a, T, uint64_t) { return (a + 0.1).norm(2, 1, true); }},
      {"variance",
       [](W&, T a, T, uint64_t) {
         return torch::cat({a, a + 1}, 1).var(1, true);
       }},
      {"gram matrix", [](W&, T a, T, uint64_t) { return a.mm(a.t()); }},
      {"outer products",
       [](W&, T a, T b, uint64_t) { return torch::bmm(a.unsqueeze(2), b.unsqueeze(1)); }},
      {"batch_norm in training",
       [](W& w, T a, T, uint64_t k) {
         const auto both = torch::cat({a, a.sin() + 0.3}, 0);
         const auto n = width_of(a);
         return torch::batch_norm(both, w.parameter({n}, k), w.parameter({n}, k + 1), {}, {}, true,
                                  0.1, 1e-2, false)
             .narrow(0, 0, w.examples());
       }},
      {"derivative by the input",
       [](W& w, T a, T, uint64_t k) {
         const auto x = a.detach().clone().requires_grad_();
         const auto u = linear(w, x, k).tanh().sum();
         const auto slope = u.requires_grad()
                                ? torch::autograd::grad({u}, {x}, {}, true, true, true)[0]
                                : Tensor();
         return slope.defined() ? slope : x * 0;
       }},
      {"solve",
       [](W&, T a, T, uint64_t) {
         const auto eye = torch::eye(a.size(0), a.options().requires_grad(false));
         return torch::linalg_solve(eye + a.mm(a.t()), a);
       }},
      {"spectrum", [](W&, T a, T, uint64_t) { return torch::fft_rfft(a + 0.2).abs(); }},
  };
}

std::vector<NetworkOp> inplace_ops() {
  return {
      {"tanh_", [](W&, T a, T, uint64_t) { return (a * 1.5).tanh_(); }},
      {"relu_", [](W&, T a, T, uint64_t) { return a.clone().relu_(); }},
      {"add_",
       [](W&, T a, T b, uint64_t) {
         const auto [x, y] = fitted(a, b);
         return (0.5 * x).add_(y, 0.7);
       }},
      {"mul_ of a view",
       [](W&, T a, T, uint64_t) {
         auto h = a.sin();
         h = h * 1.1;
         h.narrow(1, 0, 1).mul_(1.7);
         return h;
       }},
      {"copy_ into rows",
       [](W&, T a, T, uint64_t) {
         auto h = torch::zeros_like(a.detach());
         h.select(0, 0).copy_(a.select(0, 0));
         h.select(1, 0).add_(a.select(1, 0).tanh());
         return h;
       }},
      {"index_put_",
       [](W&, T a, T, uint64_t) {
         auto h = a.clone();
         h.index_put_({torch::tensor({0})}, a.narrow(0, 0, 1).exp());
         return h;
       }},
      {"masked_fill_",
       [](W& w, T a, T, uint64_t k) {
         return a.clone().masked_fill_(w.constant(a.sizes(), k) > 0.7, -0.2);
       }},
      {"a view's view in place",
       [](W&, T a, T, uint64_t) {
         auto h = a.clone();
         h.t().unsqueeze(0).select(1, 0).exp_();
         return h;
       }},
  };
}

const std::vector<NetworkOp>& network_ops() {
  static const auto all = [] {
    std::vector<NetworkOp> ops;
    for (const auto& group : {layer_ops(), layer_ops(), elementwise_ops(), shape_ops(),
                              mixing_ops(), inplace_ops(), opaque_ops()}) {
      ops.insert(ops.end(), group.begin(), group.end());
    }
    return ops;
  }();
  return all;
}

size_t sound_ops() { return network_ops().size() - opaque_ops().size(); }

}  // namespace natgrad::testing::fuzz
