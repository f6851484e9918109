#include <math.h>
/* One thread, one pair after another; gcc -O3 -march=native -ffast-math turns the inner loops into vector code. */
void loose(long S, const double *s, const double *e, const double *w, long P, const double *p, double *out)
{   /* s, e, w: (3,S) */
    const double *sx=s,*sy=s+S,*sz=s+2*S,*ex=e,*ey=e+S,*ez=e+2*S;
    for (long k=0;k<P;k++){ double x=p[3*k],y=p[3*k+1],z=p[3*k+2],bx=0,by=0,bz=0;
      for(long i=0;i<S;i++){ double ax=x-sx[i],ay=y-sy[i],az=z-sz[i],cx=x-ex[i],cy=y-ey[i],cz=z-ez[i];
        double a=sqrt(ax*ax+ay*ay+az*az),b=sqrt(cx*cx+cy*cy+cz*cz),d=ax*cx+ay*cy+az*cz;
        double f=w[i]*(a+b)/(a*b*(a*b+d));
        bx+=f*(ay*cz-az*cy);by+=f*(az*cx-ax*cz);bz+=f*(ax*cy-ay*cx);} 
      out[3*k]=1e-7*bx;out[3*k+1]=1e-7*by;out[3*k+2]=1e-7*bz;}
}
void polyline(long S, const double *v, const double *w, long P, const double *p, double *out, double *buf)
{   /* v (3,S+1): the distance to a shared corner is taken once */
    const double *vx=v,*vy=v+S+1,*vz=v+2*(S+1);
    for (long k=0;k<P;k++){ double x=p[3*k],y=p[3*k+1],z=p[3*k+2],bx=0,by=0,bz=0;
      for(long i=0;i<=S;i++){double ax=x-vx[i],ay=y-vy[i],az=z-vz[i]; buf[i]=sqrt(ax*ax+ay*ay+az*az);}
      for(long i=0;i<S;i++){ double ax=x-vx[i],ay=y-vy[i],az=z-vz[i],cx=x-vx[i+1],cy=y-vy[i+1],cz=z-vz[i+1];
        double a=buf[i],b=buf[i+1],d=ax*cx+ay*cy+az*cz;
        double f=w[i]*(a+b)/(a*b*(a*b+d));
        bx+=f*(ay*cz-az*cy);by+=f*(az*cx-ax*cz);bz+=f*(ax*cy-ay*cx);} 
      out[3*k]=1e-7*bx;out[3*k+1]=1e-7*by;out[3*k+2]=1e-7*bz;}
}
void robust(long S, const double *s, const double *e, const double *w, long P, const double *p, double *out)
{   const double *sx=s,*sy=s+S,*sz=s+2*S,*ex=e,*ey=e+S,*ez=e+2*S;
    for (long k=0;k<P;k++){ double x=p[3*k],y=p[3*k+1],z=p[3*k+2],bx=0,by=0,bz=0;
      for(long i=0;i<S;i++){ double ax=x-sx[i],ay=y-sy[i],az=z-sz[i],cx=x-ex[i],cy=y-ey[i],cz=z-ez[i];
        double dx=ex[i]-sx[i],dy=ey[i]-sy[i],dz=ez[i]-sz[i];
        double a=sqrt(ax*ax+ay*ay+az*az),b=sqrt(cx*cx+cy*cy+cz*cz),d=ax*cx+ay*cy+az*cz;
        double nx=dy*az-dz*ay,ny=dz*ax-dx*az,nz=dx*ay-dy*ax,n=nx*nx+ny*ny+nz*nz,r=a*b+fabs(d);
        double num=d>0?1.0:r,den=d>0?r:n;
        double f=n>0?w[i]*(a+b)*num/(a*b*den):0.0;
        bx+=f*nx;by+=f*ny;bz+=f*nz;} 
      out[3*k]=1e-7*bx;out[3*k+1]=1e-7*by;out[3*k+2]=1e-7*bz;}
}
/* D and G of designtools.kernels.elliptic: P(m1) - log(m1) Q(m1) */
static const double DP[]={0.38629436111989124, 0.039720770887050824, 0.013800781758755536, 0.006917984755299662,0.004663604524464889, 0.011380182583420433, 0.05428675085108981, 0.12491770801714139,0.11012929851164333, 0.03142851187573837, 0.001858208512952802};
static const double DQ[]={0.5, 0.3749999999946793, 0.35156249067950934, 0.34179456495835503,0.3363076267236082, 0.3297990011573915, 0.3013227420286883, 0.20998132066217157,0.08209890312695972, 0.01251280965561104, 0.00039401330335114663};
static const double GP[]={2.0, 0.4999999999834499, 0.07388958685312953, 0.029855763276683614,0.015833058131781427, 0.003854316221745573, -0.03489308704727109, -0.10195695988255356,-0.09854091811583272, -0.029978889491700866, -0.0018683797370867377};
static const double GQ[]={0.0, 1.7876202722467083e-12, -0.18749999577989113, -0.2343737330540532,-0.25625383072564656, -0.26684844398528973, -0.2549887191215665, -0.1857983534560479,-0.07613578481996727, -0.012153859243178093, -0.0003997031189383301};
static inline double poly(const double*c,double x){double t=c[10];for(int i=9;i>=0;i--)t=t*x+c[i];return t;}
static inline double fastlog(double x)
{   union{double d;long i;}u={x}; long t=u.i+(((long)0x3FF00000-0x3FE6A09E)<<32); double ex=(double)((t>>52)-1023);
    u.i=(t&0x000FFFFFFFFFFFFFL)+((long)0x3FE6A09E<<32); double f=u.d-1.0,s=f/(2.0+f),z=s*s,h=0.5*f*f;
    double R=z*(6.666666666666735130e-01+z*(3.999999999940941908e-01+z*(2.857142874366239149e-01+z*(2.222219843214978396e-01+z*(1.818357216161805012e-01+z*(1.531383769920937332e-01+z*1.479819860511658591e-01))))));
    return ex*0.6931471805599453+(f-(h-s*(h+R))); }
void loops(long N,const double*c,const double*n,const double*rad,const double*cur,long P,const double*p,double*out)
{   for(long k=0;k<P;k++){double bx=0,by=0,bz=0;
      for(long i=0;i<N;i++){ double dx=p[3*k]-c[i],dy=p[3*k+1]-c[N+i],dz=p[3*k+2]-c[2*N+i],a=rad[i];
        double nx=n[i],ny=n[N+i],nz=n[2*N+i],h=dx*nx+dy*ny+dz*nz; dx-=h*nx;dy-=h*ny;dz-=h*nz;
        double r2=dx*dx+dy*dy+dz*dz,r=sqrt(r2),q=(r-a)*(r+a),z2=h*h,t2=(q+z2)*(q+z2)+4*a*a*z2,T=sqrt(t2);
        double al2=(a*a+r2+z2+T)/2,m1=T/al2,L=fastlog(m1);
        double D=poly(DP,m1)-L*poly(DQ,m1),G=poly(GP,m1)-L*poly(GQ,m1);
        double s=cur[i]*2e-7*a*a/(sqrt(al2)*t2),Bz=s*((z2-q)*G+t2/al2*D),Br=2*s*h*G;
        bx+=Bz*nx+Br*dx;by+=Bz*ny+Br*dy;bz+=Bz*nz+Br*dz;}
      out[3*k]=bx;out[3*k+1]=by;out[3*k+2]=bz;}
}
