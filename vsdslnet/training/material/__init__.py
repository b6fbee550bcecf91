"""What pictures are made from: HDR photographs, radiance maps, films, and what a folder holds of them."""
