#include "graph/layer_factors.h"
#include <torch/torch.h>

#include <algorithm>

namespace natgrad::detail {
namespace {

using torch::IntArrayRef;
using torch::Tensor;
using Shape = std::vector<int64_t>;

/// x of [M, channels, size...] with zeros around it.
Tensor padded(const Tensor& x, const Shape& padding) {
  Shape ends;  // of the last dimension first
  for (size_t d = padding.size(); d-- > 0;) ends.insert(ends.end(), 2, padding[d]);
  return at::constant_pad_nd(x, ends).contiguous();
}

/// What each weight of a kernel meets at each position: [M, groups, positions, channels/groups ·
/// kernel size], for x of [M, channels, size...].
Tensor patches(const Tensor& x, IntArrayRef kernel, IntArrayRef positions,
               const ConvolutionGeometry& geometry) {
  const Tensor base = padded(x, geometry.padding);
  const auto groups = geometry.groups, channels = x.size(1) / groups;
  Shape sizes = {x.size(0), groups}, strides = {base.stride(0), channels * base.stride(1)};
  for (size_t d = 0; d < positions.size(); ++d) {
    sizes.push_back(positions[d]);
    strides.push_back(geometry.stride[d] * base.stride(2 + static_cast<int64_t>(d)));
  }
  sizes.push_back(channels);
  strides.push_back(base.stride(1));
  for (size_t d = 0; d < kernel.size(); ++d) {
    sizes.push_back(kernel[d]);
    strides.push_back(geometry.dilation[d] * base.stride(2 + static_cast<int64_t>(d)));
  }
  return base.as_strided(sizes, strides)
      .reshape({x.size(0), groups, c10::multiply_integers(positions),
                channels * c10::multiply_integers(kernel)});
}

/// [M, channels, positions...] as [M, groups, positions, channels/groups].
Tensor by_group(const Tensor& x, int64_t groups) {
  return x.reshape({x.size(0), groups, x.size(1) / groups, -1}).transpose(2, 3);
}

/// A transposed convolution is the transpose of a convolution from s to a.
WeightFactors convolution_factors(const Layer& layer, const Tensor& delta, IntArrayRef weight) {
  const auto& geometry = layer.geometry;
  const Tensor& to = geometry.transposed ? layer.input : delta;
  const Tensor& from = geometry.transposed ? delta : layer.input;
  return {by_group(to, geometry.groups),
          patches(from, weight.slice(2), to.sizes().slice(2), geometry)};
}

}  // namespace

WeightFactors weight_factors(const Layer& layer, const Tensor& delta, IntArrayRef weight_shape) {
  if (layer.kind == Layer::Kind::Convolution) {
    return convolution_factors(layer, delta, weight_shape);
  }
  const auto as_factor = [](const Tensor& t) { return t.unsqueeze(1).unsqueeze(1); };
  const Tensor a = as_factor(layer.input), d = as_factor(delta);
  return layer.is_input_by_output ? WeightFactors{a, d} : WeightFactors{d, a};
}

Tensor bias_rows(const Layer& layer, const Tensor& gradient, IntArrayRef bias_shape) {
  if (layer.kind == Layer::Kind::Linear) return gradient;
  const auto delta =
      layer.kind == Layer::Kind::Scale ? gradient * layer.input.to(gradient.dtype()) : gradient;
  if (layer.kind == Layer::Kind::Convolution || layer.is_by_channel) {
    return delta.dim() > 2 ? delta.flatten(2).sum(2) : delta;
  }
  // Dimensions along which the addition broadcasts are rows, or of length 1 in b.
  const auto shared = std::min(bias_shape.size(), static_cast<size_t>(delta.dim() - 1));
  Shape sizes = {layer.rows}, kept = {layer.rows};
  const auto append = [shared](Shape& shape, IntArrayRef from) {
    const auto last = from.slice(from.size() - shared);
    shape.insert(shape.end(), last.begin(), last.end());
  };
  append(sizes, delta.sizes());
  append(kept, bias_shape);
  return at::sum_to(delta.reshape(sizes), kept)
      .reshape({layer.rows, c10::multiply_integers(bias_shape)});
}

}  // namespace natgrad::detail
